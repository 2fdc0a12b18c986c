#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/copy-image: the copy is equal, its holes are holes, failures are told.
source "$(dirname "$0")/../functions.sh"
export ENGINE
copy_image=${EXAMPLES:-$abs_top_builddir/examples}/copy-image

head -c 5242881 /dev/urandom >"$tmp/source"
truncate -s 64M "$tmp/source"
"$copy_image" "$tmp/source" "$tmp/copy" 2>"$tmp/progress"
cmp "$tmp/source" "$tmp/copy"
grep -q '100 %' "$tmp/progress" || fail "no progress"
[ "$(stat -c %b "$tmp/copy")" -le $(((8 << 20) / 512)) ] || fail "zeroes take space"

# Over an older, larger file; the source looks like an image of a format, the copy is raw.
head -c 70000000 /dev/urandom >"$tmp/copy"
printf 'QFI\373\0\0\0\3' | dd of="$tmp/source" bs=1 seek=1024 conv=notrunc status=none
"$copy_image" "$tmp/source" "$tmp/copy" 2>/dev/null
cmp "$tmp/source" "$tmp/copy"

status=0
"$copy_image" "$tmp/nothing" "$tmp/copy" 2>"$tmp/error" || status=$?
[ $status -eq 1 ]
grep -q "nothing.*No such file" "$tmp/error"
