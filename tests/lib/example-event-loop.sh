#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/event-loop: answers each line of input, ends after the last one, or when idle.
source "$(dirname "$0")/../functions.sh"
export ENGINE
event_loop=${EXAMPLES:-$abs_top_builddir/examples}/event-loop

seq -f '%014.0f' 0 65535 | tr '\n' '\0' >"$tmp/disk"
truncate -s 1M "$tmp/disk"
seq 0 15 991000 >"$tmp/offsets"
"$event_loop" "$tmp/disk" 60000 < <(cat "$tmp/offsets") | sort -n >"$tmp/answers"
awk '$1 < 983040 { printf "%d: %014d\n", $1, $1 / 15 } $1 >= 983040 { print $1 ": " }' \
    "$tmp/offsets" | diff -q - "$tmp/answers"

[ "$(echo 1048576 | "$event_loop" "$tmp/disk" 60000)" = "1048576: Input/output error" ]

# An input that stays open and silent.
mkfifo "$tmp/silence"
[ "$("$event_loop" "$tmp/disk" 20 <>"$tmp/silence")" = idle ]
