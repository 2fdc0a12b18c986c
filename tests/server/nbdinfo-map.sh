#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdinfo --map tells the same extents as the file system.
source "$(dirname "$0")/common.sh"
requires nbdinfo qemu-img

truncate -s 16M "$tmp/disk"
for at in 1 3 4 9; do
    dd if=/dev/urandom of="$tmp/disk" bs=1M count=1 seek=$at conv=notrunc status=none
done
qemu-img map --output=json -f raw "$tmp/disk" |
    sed -n 's/.*"start": \([0-9]*\), "length": \([0-9]*\).*"data": \([a-z]*\).*/\1 \2 \3/p' |
    sed 's/true/0/; s/false/3/' >"$tmp/want"
[ "$(wc -l <"$tmp/want")" -gt 3 ] || skip "the file system does not tell holes"
start_server --format=raw "$tmp/disk"
nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }' >"$tmp/got"
diff -u "$tmp/want" "$tmp/got" || fail "the maps differ"
