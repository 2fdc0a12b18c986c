#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/throttle: a group gets what its limit allows, members take turns.
source "$(dirname "$0")/../functions.sh"
export ENGINE
throttle=${EXAMPLES:-$abs_top_builddir/examples}/throttle

read -r _ small _ large _ _ rate < <("$throttle" 20000000 1)
echo "small $small large $large rate $rate"
# What 100 ms give may come at once, and a request may overshoot; a busy machine gets less.
[ "$rate" -le 22300000 ]
[ "$rate" -ge 10000000 ]
# Turn by turn, and one asks for four times as much as the other.
[ "$large" -ge $((small * 7 / 2)) ] && [ "$large" -le $((small * 9 / 2)) ]

status=0
"$throttle" -1 1 2>"$tmp/error" || status=$?
[ $status -eq 1 ]
grep -q 'bps-total' "$tmp/error"
