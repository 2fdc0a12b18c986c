#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each key does what it says.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

# try KEY...: a client does what $commands say.
try() {
    run_nbdkit "${plugin[@]}" "$@"
    guest "${commands[@]}"
    stop_server || fail "$*: status $?"
}

make_image qcow2
commands=('write -P 1 0 64k')
try "$image"
commands=('read -P 1 0 64k')
try file="$image"
try "$image" format=qcow2
try image-opts="driver=qcow2,file.driver=file,file.filename=$image"
mkdir "$tmp/dir"
ln "$image" "$tmp/dir/only" # what comes by default
try dir="$tmp/dir"

# format=raw shows the container
run_nbdkit "${plugin[@]}" "$image" format=raw
[ "$(nbdinfo --size "$uri")" = "$(stat -c %s "$image")" ] || fail "format=raw"
stop_server

for mode in writeback writethrough none directsync unsafe; do
    commands=('write -P 2 64k 64k' 'read -P 1 0 64k' flush)
    try "$image" cache=$mode
done
commands=('read -P 2 64k 64k')
try "$image" cache=none aio=native

# discard=
make_image raw 1M
commands=('write -P 1 0 1M' 'discard 0 1M' 'read -P 1 0 1M')
run_nbdkit "${plugin[@]}" "$image" discard=ignore
nbdinfo "$uri" | grep -q 'can_trim: false' || fail "discard=ignore"
stop_server
run_nbdkit "${plugin[@]}" "$image"
guest 'write -P 1 0 1M'
python_nbd <<<'h.trim(1 << 20, 0)'
stop_server
[ "$(stat -c %b "$image")" = 0 ] || fail "trim left $(stat -c %b "$image") blocks"

# detect-zeroes=
run_nbdkit "${plugin[@]}" "$image" detect-zeroes=unmap
guest 'write -P 1 0 1M' 'write -P 0 0 1M'
stop_server
[ "$(stat -c %b "$image")" = 0 ] || fail "detect-zeroes=unmap wrote zeroes"

# snapshot=
guest_sum=$(sha256sum <"$image")
run_nbdkit "${plugin[@]}" "$image" snapshot=on
guest 'write -P 9 0 64k' 'read -P 9 0 64k' flush
stop_server
[ "$(sha256sum <"$image")" = "$guest_sum" ] || fail "snapshot=on changed the image"

# load-snapshot=
make_image qcow2
on_disk qcow2 'write -P 3 0 64k'
qemu-img snapshot -c before "$image"
on_disk qcow2 'write -P 4 0 64k'
run_nbdkit "${plugin[@]}" "$image" load-snapshot=before
nbdinfo --is readonly "$uri" || fail "load-snapshot= can be written"
qemu-io -r -f raw -c 'read -P 3 0 64k' "$uri" | tee "$tmp/out"
! grep -q mismatch "$tmp/out" || fail "load-snapshot="
stop_server
