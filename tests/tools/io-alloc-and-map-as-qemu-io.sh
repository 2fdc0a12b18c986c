#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: alloc, map and info tell of an image, and of an overlay, what qemu-io tells.
source "$(dirname "$0")/common.sh"
requires qemu-io qemu-img

images() {
    truncate -s 1M raw
    qemu-img create -q -f qcow2 base 4M
    qemu-io -f qcow2 base -c 'write -q 0 1M' -c 'write -q 2M 64k'
    qemu-img create -q -f qcow2 -b base -F qcow2 overlay 6M
    qemu-io -f qcow2 overlay -c 'write -q 64k 128k' -c 'write -q -z 512k 64k' -c 'write -q 5M 1'
}

for image in base overlay; do
    io_both -r -f qcow2 $image -c map -c 'alloc 0' -c 'alloc 0 1M' -c 'alloc 0 6M' -c 'alloc 0 8M' \
        -c 'alloc 100k 1' -c 'alloc 100k 300k' -c 'alloc 2M 1M' -c 'alloc 513 70k' -c 'a 5M 64k' \
        -c 'alloc 6M' -c 'alloc 100M 1' -c 'alloc 0 0'
done
io_both -f qcow2 overlay -c 'write -q 3M 100k' -c 'discard -q 64k 64k' \
    -c 'write -q -z -u 128k 64k' -c map -c 'truncate 7M' -c map
io_both -f raw raw -c map -c 'alloc 0 1M' -c 'alloc 1000k 100k' -c 'write -q 0 64k' -c map \
    -c info -c i
echo "$compared command lines"
