#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# qemu-io: patterns written, zeroed and discarded read back as they should.
source "$(dirname "$0")/common.sh"
requires qemu-io

truncate -s 64M "$tmp/disk"
start_server --format=raw --discard=unmap "$tmp/disk"
qemu-io -f raw "$uri" \
    -c 'write -P 0x11 0 1M' -c 'write -P 0x22 1M 32M' -c 'write -f -P 0x33 40M 65536' \
    -c 'aio_write -P 0x44 50M 128k' -c 'aio_flush' -c 'write -P 0x55 60M 512' -c 'flush' \
    -c 'write -z 2M 1M' -c 'write -z -u 4M 1M' -c 'discard 6M 1M' >"$tmp/out" || fail "writing"
qemu-io -r -f raw "$uri" \
    -c 'read -P 0x11 0 1M' -c 'read -P 0x22 1M 1M' -c 'read -P 0 2M 1M' -c 'read -P 0x22 3M 1M' \
    -c 'read -P 0 4M 1M' -c 'read -P 0x22 5M 1M' -c 'read -P 0x22 7M 26M' -c 'read -P 0 33M 7M' \
    -c 'read -P 0x33 40M 65536' -c 'read -P 0x44 50M 128k' -c 'read -P 0x55 60M 512' \
    >>"$tmp/out" || fail "reading"
cat "$tmp/out"
if grep -Eqi 'fail|error|invalid|cannot' "$tmp/out"; then
    fail "qemu-io complained"
fi
