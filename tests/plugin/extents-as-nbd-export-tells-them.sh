#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The map of an image is the one that nbd-export shows, block status of any range included.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

same_map() {
    on_disk "$1" 'write -P 1 1M 1M' 'write -P 2 10M 64k' 'write -z 12M 1M' 'write -P 3 60M 4M' \
        'write -z -u 61M 512k'
    start_server --format="$1" "$image"
    nbdinfo --map "$uri" >"$tmp/want"
    stop_server
    run_nbdkit "${plugin[@]}" "$image" format="$1"
    nbdinfo --map "$uri" >"$tmp/got"
    [ "$(wc -l <"$tmp/want")" -ge 5 ] || fail "a map without holes"
    diff -u "$tmp/want" "$tmp/got"
    python_nbd <<'END'
assert extents(h, 64 << 20, 0, flags=nbd.CMD_FLAG_REQ_ONE) == [(1 << 20, 3)]
assert extents(h, 4096, (1 << 20) - 1024) == [(1024, 3), (3072, 0)]
END
    stop_server || fail "status $?"
}
for_each_format same_map
