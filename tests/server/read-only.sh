#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --read-only: clients are told, writing fails, a file that may only be read can be served.
source "$(dirname "$0")/common.sh"
requires nbdinfo qemu-io

dd if=/dev/urandom of="$tmp/disk" bs=64K count=1 status=none
cp "$tmp/disk" "$tmp/copy"
chmod 0444 "$tmp/disk"
start_server --read-only --format=raw "$tmp/disk"
nbdinfo --is read-only "$uri" || fail "nbdinfo takes it for writable"
if qemu-io -f raw "$uri" -c 'write 0 512' >/dev/null 2>&1; then
    fail "qemu-io has opened it for writing"
fi
stop_server
cmp "$tmp/disk" "$tmp/copy"
