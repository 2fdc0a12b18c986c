#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The stats filter writes down what went through the plugin.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_stats() {
    run_nbdkit --filter=stats "${plugin[@]}" "$image" statsfile="$tmp/stats"
    python_nbd <<'END'
for n in range(3):
    h.pwrite(b'x' * 4096, n * 4096)
h.pread(8192, 0)
h.trim(65536, 65536)
h.zero(65536, 0)
h.flush()
END
    stop_server || fail "status $?"
    cat "$tmp/stats"
    grep -qE '^write: 3 ops,.* 12.00 KiB,' "$tmp/stats" || fail "writes"
    grep -qE '^read: 1 ops,.* 8.00 KiB,' "$tmp/stats" || fail "reads"
    grep -qE '^trim: 1 ops,.* 64.00 KiB,' "$tmp/stats" || fail "trims"
    grep -qE '^zero: 1 ops,.* 64.00 KiB,' "$tmp/stats" || fail "zeroes"
    grep -qE '^flush: 1 ops,' "$tmp/stats" || fail "flushes"
}
for_each_format under_stats
