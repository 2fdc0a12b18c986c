#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# examples/hot-swap: no medium while the tray is open, and then the other one.
source "$(dirname "$0")/../functions.sh"
export ENGINE
hot_swap=${EXAMPLES:-$abs_top_builddir/examples}/hot-swap

for medium in first second; do
    echo "$medium medium" | tr '\n' '\0' >"$tmp/$medium"
    truncate -s 1M "$tmp/$medium"
done
"$hot_swap" "$tmp/first" "$tmp/second" >"$tmp/output"
diff -u - "$tmp/output" <<END
read: first medium
asked to let the medium go
tray of cd0 open
read: No medium found
read: No medium found
read: No medium found
tray of cd0 closed
read: second medium
END
