#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/own-driver: the library serves what the program's own driver computes.
source "$(dirname "$0")/../functions.sh"
export ENGINE
own_driver=${EXAMPLES:-$abs_top_builddir/examples}/own-driver

[ "$("$own_driver" 1048576 4096 32)" = "$(printf 'line 0000000256\nline 0000000257')" ]
# Any offset and length, though the driver sees multiples of 512 only.
[ "$("$own_driver" 1048576 511 7)" = "$(printf '\nline 0')" ]
"$own_driver" 1048576 0 1048576 >"$tmp/all"
seq -f 'line %010.0f' 0 65535 | cmp - "$tmp/all"

status=0
"$own_driver" 1048576 1048570 32 2>"$tmp/error" || status=$?
[ $status -eq 1 ]
grep -q 'Input/output error' "$tmp/error"
