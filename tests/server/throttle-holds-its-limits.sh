#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What clients get under --throttle is what the limits allow, on the real clock.
# (make bench-throttle measures the same for many more limits, and to the percent.)
source "$(dirname "$0")/common.sh"
nbdload=$abs_top_builddir/bench/nbdload
[ -x "$nbdload" ] || skip "bench/nbdload is not built"

"${PYTHON3:-python3}" "$abs_top_srcdir/bench/throttle-accuracy" \
    --nbdload="$nbdload" --nbd-export="$NBD_EXPORT" --args="--aio=$ENGINE" --secs=3 --tolerance=5 \
    --rows='bps-write=20000000 |bps-read=5000000 |iops-total=1000 .*read.*--qd 32|-max=2000 '
