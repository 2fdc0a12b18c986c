#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the noextents filter an image looks as if it were data all over.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_noextents() {
    on_disk "$1" 'write -P 1 1M 1M'
    run_nbdkit "${plugin[@]}" "$image"
    python_nbd <<'END'
assert len(extents(h, 64 << 20, 0)) == 3, extents(h, 64 << 20, 0)
END
    stop_server || fail "status $?"
    run_nbdkit --filter=noextents "${plugin[@]}" "$image"
    guest 'read -P 0 0 1M' 'read -P 1 1M 1M' 'read -P 0 2M 1M'
    [ "$(nbdinfo --map --totals "$uri" | awk '{ print $1, $3, $4 }')" = '67108864 0 data' ] ||
        { nbdinfo --map "$uri"; fail "map"; }
    stop_server || fail "status $?"
}
for_each_format under_noextents
