#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A flush of one connection covers what another wrote, and both see the same data.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_two_clients() {
    run_nbdkit "${plugin[@]}" image-opts="driver=$1,file.driver=blkdebug,file.image.driver=file,\
file.image.filename=$image,file.log=$tmp/log"
    LOG=$tmp/log python_nbd <<'END'
other = connect()
assert h.can_multi_conn() and other.can_multi_conn()
h.pwrite(b'x' * 65536, 65536)
assert other.pread(65536, 65536) == b'x' * 65536
other.pwrite(b'y' * 512, 65536)
assert h.pread(1024, 65536) == b'y' * 512 + b'x' * 512
other.flush()
log = open(os.environ['LOG']).read().splitlines()
last_write = max(n for n, l in enumerate(log) if l.split()[2] == 'write')
assert any(l[0] == '<' and 'flush-to-disk' in l for l in log[last_write:]), log
END
    stop_server || fail "status $?"
}
for_each_format under_two_clients

# Many at once, and the first of them gone.
make_image qcow2
run_nbdkit "${plugin[@]}" "$image"
python_nbd <<'END'
handles = [connect() for n in range(16)]
h.shutdown()
for n, each in enumerate(handles):
    each.pwrite(bytes([n]) * 4096, n * 65536)
for n, each in enumerate(handles):
    assert handles[15 - n].pread(4096, n * 65536) == bytes([n]) * 4096
END
stop_server || fail "status $?"
