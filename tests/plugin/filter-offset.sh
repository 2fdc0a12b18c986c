#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The offset filter shows a range of an image, and lets nobody out of it.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_offset() {
    on_disk "$1" 'write -P 1 0 4M'
    run_nbdkit --filter=offset "${plugin[@]}" "$image" offset=1M range=1M
    [ "$(nbdinfo --size "$uri")" = 1048576 ] || fail "size"
    guest 'read -P 1 0 1M' 'write -P 2 0 1M' flush
    python_nbd <<'END'
h.set_strict_mode(0)
assert error_of(h.pread, 512, 1 << 20) == 'EINVAL'
assert extents(h, 1 << 20, 0) == [(1 << 20, 0)]
END
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 1 0 1M' 'read -P 2 1M 1M' 'read -P 1 2M 2M'
}
for_each_format under_offset
