#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two exports of one throttle group get together what the limit allows, and each of them half of it.
source "$(dirname "$0")/common.sh"
nbdload=$abs_top_builddir/bench/nbdload
[ -x "$nbdload" ] || skip "bench/nbdload is not built"

truncate -s 16M "$tmp/disk"
start_server --read-only --throttle iops-total=1000,group=both \
    --export "name=small,image=$tmp/disk,format=raw" \
    --export "name=large,image=$tmp/disk,format=raw"

# load EXPORT BLOCK-SIZE: prints its operations in 2 seconds.
load() {
    "$nbdload" --unix "$sock" --export "$1" --rw randread --bs "$2" --qd 16 --secs 2 --warmup 0.5 |
        sed 's/.*"ops":\([0-9]*\).*/\1/'
}

load small 4K >"$tmp/small" &
large=$(load large 256K)
wait $!
small=$(<"$tmp/small")
echo "small requests: $small, large ones: $large"
total=$((small + large))
# One may have begun earlier than the other and had the limit for itself until then.
if [ $total -lt 1700 ] || [ $total -gt 2400 ]; then
    fail "$total operations in 2 s at 1000 a second"
fi
share=$((small * 100 / total))
if [ $share -lt 40 ] || [ $share -gt 60 ]; then
    fail "the small ones are $share % of them"
fi
