#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: what is a size, and how large it is, it sees as qemu-io does.
source "$(dirname "$0")/common.sh"
requires qemu-io

images() {
    truncate -s 2k raw
}

commands=()
for size in 0 1 512 010 +5 -5 0x10 0X1F 0x 0xg 0x1k 0x1E 0x1.8 1b 1B 1.b 1.5 1.5b 1.k 1.5k 1.5K \
    .5k 0.5k 1k 2M 3G 1T 1t 1kk 1Q 1e3 1.5e1k 07x 5. 0.0 1.0 7.9999E 8E 9E 16E 17E 0b 0.1k 1.9999k \
    9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 \
    99999999999999999999999 99999999999999999999999k; do
    commands+=(-c "alloc $size" -c "read $size 1")
done
io_both -f raw raw "${commands[@]}"

# And as people read it.
for size in 512 1536 1M 5000000192 1374389534720 9000000000000000000; do
    io_both --image-opts "driver=null-co,size=$size" -c length
done
echo "$compared command lines"
