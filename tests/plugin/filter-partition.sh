#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The partition filter shows one partition of an image, and nothing else of it is changed.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io sfdisk

under_partition() {
    truncate -s 64M "$tmp/table"
    printf 'label: gpt\nstart=2048,size=8192\nstart=16384,size=4096\n' | sfdisk -q "$tmp/table"
    qemu-img convert -f raw -O "$1" "$tmp/table" "$image"
    run_nbdkit --filter=partition "${plugin[@]}" "$image" partition=2
    [ "$(nbdinfo --size "$uri")" = $((4096 * 512)) ] || fail "size"
    guest 'write -P 7 0 2M' flush
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 7 8M 2M' 'read -P 0 10M 4k' 'read -P 0 7M 1M' 'read -P 0 1M 4M'
    qemu-img convert -f "$1" -O raw "$image" "$tmp/after"
    cmp "$tmp/table" "$tmp/after" -n 1048576
}
for_each_format under_partition
