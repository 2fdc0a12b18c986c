#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdinfo: size, JSON, list and map of a sparse image.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 4M "$tmp/disk"
printf data | dd of="$tmp/disk" bs=1M seek=1 conv=notrunc status=none
start_server --format=raw --description="a disk" "$tmp/disk"

[ "$(nbdinfo --size "$uri")" = 4194304 ] || fail "--size"
nbdinfo "$uri" | tee "$tmp/out"
grep -q "newstyle-fixed without TLS, using structured packets" "$tmp/out" || fail "protocol"
nbdinfo --json "$uri" | tee "$tmp/json"
for line in '"export-size": 4194304' '"description": "a disk"' '"can_multi_conn": true' \
    '"can_fua": true' '"can_fast_zero": true' '"can_df": true' '"base:allocation"'; do
    grep -q "$line" "$tmp/json" || fail "--json lacks $line"
done
nbdinfo --list "$uri" | grep 'export-size: 4194304' >/dev/null || fail "--list"
for can in flush fua trim zero cache write structured-reply df multi-conn; do
    nbdinfo --can $can "$uri" || fail "--can $can"
done
if nbdinfo --is read-only "$uri"; then
    fail "--is read-only"
fi
