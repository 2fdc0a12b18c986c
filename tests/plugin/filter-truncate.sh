#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the truncate filter an image is as long as it says: zeroes behind the end, or less of it.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_truncate() {
    on_disk "$1" 'write -P 1 0 64M'
    run_nbdkit --filter=truncate "${plugin[@]}" "$image" truncate=65M
    [ "$(nbdinfo --size "$uri")" = $((65 << 20)) ] || fail "larger"
    python_nbd <<'END'
assert h.pread(1024, (64 << 20) - 512) == b'\1' * 512 + bytes(512)
got = error_of(h.pwrite, b'x' * 1024, (64 << 20) - 512)
assert got == 'ENOSPC', got
h.pwrite(b'x' * 512, (64 << 20) - 1024)
END
    [ "$(nbdinfo --map "$uri" | awk '{ n += $2 } END { print n }')" = $((65 << 20)) ] || fail "map"
    stop_server || fail "status $?"
    run_nbdkit --filter=truncate "${plugin[@]}" "$image" truncate=33M
    [ "$(nbdinfo --size "$uri")" = $((33 << 20)) ] || fail "smaller"
    guest 'write -P 3 32M 1M' flush
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 3 32M 1M' 'read -P 1 33M 30M' 'read -P 1 0 32M'
}
for_each_format under_truncate
