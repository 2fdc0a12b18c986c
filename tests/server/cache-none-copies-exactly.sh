#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With --cache=none (O_DIRECT) an image goes in and out unchanged, odd requests included.
source "$(dirname "$0")/common.sh"
requires nbdcopy qemu-io

dd if=/dev/urandom of="$tmp/source" bs=1M count=8 status=none
truncate -s 8M "$tmp/disk"
start_server --cache=none --format=raw "$tmp/disk"
nbdcopy "$tmp/source" "$uri"
nbdcopy "$uri" "$tmp/back"
cmp "$tmp/source" "$tmp/back"
qemu-io -f raw "$uri" -c 'write -P 9 100 700' -c 'read -P 9 100 700' >"$tmp/out"
if grep -qi fail "$tmp/out"; then
    cat "$tmp/out"
    fail "an odd write"
fi
stop_server
cmp -n 100 "$tmp/source" "$tmp/disk"
cmp -i 800 "$tmp/source" "$tmp/disk"
