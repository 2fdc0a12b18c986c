#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every cache mode of qemu-nbd is accepted, and data comes back in each.
source "$(dirname "$0")/common.sh"
requires qemu-io

for cache in writeback writethrough none directsync unsafe; do
    truncate -s 1M "$tmp/$cache"
    start_server --cache=$cache --format=raw "$tmp/$cache"
    qemu-io -f raw "$uri" -c 'write -P 7 0 128k' -c 'write -P 8 512 512' -c 'flush' \
        -c 'read -P 7 0 512' -c 'read -P 8 512 512' -c 'read -P 7 1024 127k' >"$tmp/out"
    if grep -qi -e fail -e error "$tmp/out"; then
        cat "$tmp/out"
        fail "$cache"
    fi
    stop_server || fail "$cache: status $?"
done
