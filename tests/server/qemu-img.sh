#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# qemu-img: info, convert out and in, compare, map.
source "$(dirname "$0")/common.sh"
requires qemu-img

truncate -s 32M "$tmp/disk" "$tmp/other"
dd if=/dev/urandom of="$tmp/disk" bs=1M count=5 seek=7 conv=notrunc status=none
start_server --format=raw "$tmp/disk"
disk=$uri
start_server --format=raw "$tmp/other"
other=$uri

qemu-img info -f raw "$disk" | grep 'virtual size: 32 MiB' >/dev/null || fail info
qemu-img convert -f raw -O qcow2 "$disk" "$tmp/out.qcow2"
qemu-img compare -f raw -F qcow2 "$disk" "$tmp/out.qcow2"
qemu-img convert -n -f qcow2 -O raw "$tmp/out.qcow2" "$other"
qemu-img compare -f raw -F raw "$disk" "$other"
qemu-img map -f raw "$disk" >/dev/null
stop_server
cmp "$tmp/disk" "$tmp/other"
