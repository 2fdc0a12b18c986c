#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: reads, writes, zeroes and discards report and leave behind what they do with qemu-io.
source "$(dirname "$0")/common.sh"
requires qemu-io qemu-img

images() {
    truncate -s 1M raw
    qemu-img create -q -f qcow2 qcow2 1M
    printf 'hello' >text
}

for format in raw qcow2; do
    io_both -f $format $format -c 'write 0 512' -c 'write -P 0x55 512 64k' \
        -c 'write -P 7 -q 1000k 1k' -c 'read -P 0x55 512 64k' -c 'read -v 500 40' -c 'read -q 0 1' \
        -c 'read -C 0 100' \
        -c 'write -s text 300k 1001' -c 'read -v 300k 33' -c 'write -z 100k 64k' \
        -c 'write -z -u 200k 64k' -c 'write -z -f 0 4k' -c 'write -f 5 6' -c 'write -C 10 1' \
        -c 'writev -P 3 600k 512 1k 5' -c 'readv -P 3 600k 1 1540' -c 'readv -v 600k 3 4' \
        -c 'discard 0 64k' -c 'discard -q 64k 64k' -c 'discard -C 128k 64k' -c flush -c length \
        -c 'truncate 2M' -c length -c 'read -P 0 1M 1M' -c 'truncate 1M' -c 'r 0 1' -c 'w 0 1' \
        -c 'read 0 0' -c 'write 0 0' -c 'write -z 0 0' -c 'discard 0 0' -c 'readv 0 0 0' -c 'l' -c f
    same_content $format $format
done

# Verification that fails: the rest goes on, the status tells.
io_both -f raw raw -c 'read -P 1 0 512' -c 'read -q -P 1 5 6' -c 'read -P 0 0 512' \
    -c 'write -q -P 9 100 50' -c 'read -P 9 -s 100 -l 50 0 200' -c 'read -P 9 -s 99 0 150' \
    -c 'read -P 0 -l 100 0 200' -c 'readv -P 1 0 5 6' -c 'readv -q -P 0 0 5 6' -c 'read -vP 1 0 4'

# Compressed clusters.
io_both -f qcow2 qcow2 -c 'write -c -P 1 0 64k' -c 'write -c -P 2 64k 256k' -c 'read -P 1 0 64k' \
    -c 'read -P 2 64k 256k' -c 'write -c 512 1k' -c 'write -c 0 100k' -c 'write -c 5 64k'
same_content qcow2 qcow2

# The VM state beside the disk; space taken in advance.
io_both -f qcow2 qcow2 -c 'write -b -P 9 0 64k' -c 'read -b -P 9 0 64k' -c 'read -b -P 0 1M 4k' \
    -c 'read -P 0 0 1M' -c 'truncate -m metadata 4M' -c map -c 'truncate -m full 5M' \
    -c 'truncate 1M' -c map
same_content qcow2 qcow2
io_both -f raw raw -c 'truncate -m falloc 2M' -c 'truncate -m full 3M' -c length -c 'read -P 0 0 3M'
io_both -m -f raw raw -c 'write -P 1 0 8k' -c 'read -P 1 0 8k' -c 'readv -P 1 0 4k 4k'
same_content raw raw
echo "$compared command lines"
