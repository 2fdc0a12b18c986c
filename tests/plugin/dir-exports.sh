#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dir=: each image in the folder is an export under its name, and nothing else is.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

mkdir "$tmp/dir" "$tmp/dir/folder"
make_image raw 1M dir/one.img
mkfifo "$tmp/dir/pipe"
truncate -s 1M "$tmp/dir/.hidden" "$tmp/outside"
ln -s ../outside "$tmp/dir/way-out"
run_nbdkit "${plugin[@]}" dir="$tmp/dir"
[ "$(nbdinfo --size "$uri")" = 1048576 ] || fail "the only image is not what comes by default"

make_image qcow2 2M dir/two.qcow2
truncate -s 3M "$tmp/dir/a b,c=%d:ü"
ln -s two.qcow2 "$tmp/dir/zwei"
nbdinfo --list "$uri" | sed -n 's/^export="\(.*\)":$/\1/p' | sort >"$tmp/names"
printf '%s\n' 'a b,c=%d:ü' one.img two.qcow2 zwei | sort | diff -u - "$tmp/names"

DIR=$tmp/dir SOCK=$sock "${PYTHON3:-/usr/bin/python3}" <<'END' || fail "names"
import os, sys, nbd
def connect_to(name):
    h = nbd.NBD()
    h.set_export_name(name)
    h.connect_unix(os.environ['SOCK'])
    return h
for name, size in (('one.img', 1), ('two.qcow2', 2), ('zwei', 2), ('a b,c=%d:ü', 3)):
    assert connect_to(name).get_size() == size << 20, name
for name in ('', 'none', '.hidden', '..', '.', 'folder', 'pipe', 'way-out', '../outside',
             'folder/../one.img', '/etc/passwd', 'x' * 4000):
    try:
        connect_to(name)
        sys.exit('there is an export ' + name)
    except nbd.Error as e:
        pass
h = connect_to('one.img')
h.pwrite(b'1' * 512, 0)
# Two names of one image are one image.
a, b = connect_to('two.qcow2'), connect_to('zwei')
a.pwrite(b'x' * 512, 512)
assert b.pread(512, 512) == b'x' * 512
# A name goes to the image that has it, also if another one had it when it was opened.
os.rename(os.environ['DIR'] + '/one.img', os.environ['DIR'] + '/moved.img')
with open(os.environ['DIR'] + '/one.img', 'wb') as f:
    f.truncate(5 << 20)
assert connect_to('one.img').get_size() == 5 << 20
assert connect_to('moved.img').pread(512, 0) == b'1' * 512
END
stop_server || fail "status $?"

# Its format describes an export.
rm -r "$tmp/dir/"*
make_image qcow2 2M dir/two.qcow2
run_nbdkit "${plugin[@]}" dir="$tmp/dir"
nbdinfo "$uri" | grep -q 'description: image of format qcow2' || fail "no description"
stop_server || fail "status $?"
