#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Any number of --threads serves any number of connections.
source "$(dirname "$0")/common.sh"
requires nbdcopy

dd if=/dev/urandom of="$tmp/disk" bs=1M count=8 status=none
for threads in 1 2 7; do
    start_server --threads=$threads --read-only --format=raw "$tmp/disk"
    nbdcopy --connections=4 --threads=4 "$uri" "$tmp/copy"
    cmp "$tmp/disk" "$tmp/copy"
    stop_server || fail "--threads=$threads: status $?"
done
