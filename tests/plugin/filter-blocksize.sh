#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the blocksize filter the plugin sees whole blocks only, and clients any byte.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_blocksize() {
    on_disk "$1" 'write -P 1 0 1M'
    run_nbdkit --filter=blocksize --filter=log "${plugin[@]}" "$image" minblock=4k maxdata=64k \
        logfile="$tmp/log"
    python_nbd <<'END'
h.pwrite(b'x' * 3, 4095)
assert h.pread(8, 4092) == b'\1\1\1xxx\1\1', h.pread(8, 4092)
h.pwrite(b'y' * 262144, 65536)
assert h.pread(262144, 65536) == b'y' * 262144
END
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 120 4095 3' 'read -P 1 0 4095' 'read -P 1 4098 4094' \
        'read -P 121 64k 256k'
    if grep -E ' (Read|Write) ' "$tmp/log" |
        grep -vE 'offset=0x([0-9a-f]+000|0) count=0x[0-9a-f]+000 '; then
        fail "not whole blocks"
    fi
    [ "$(grep -cE ' Write .*count=0x10000 ' "$tmp/log")" = 4 ] || fail "no pieces of 64 KiB"
}
for_each_format under_blocksize
