#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# convert -c writes compressed clusters, zlib and zstd, which qemu-img reads and finds sound; those
# that do not shrink stay plain.  Whatever the size of clusters and the order, nothing is lost.

source "$(dirname "$0")/img-side-by-side.sh"

"$PYTHON3" - "$tmp/source" <<'PYTHON'
import random, sys
rnd = random.Random(3)
with open(sys.argv[1], 'wb') as f:
    f.truncate((7 << 20) + 1536)
    for i in range(90):
        f.seek(rnd.randrange(7 << 20) // 512 * 512)
        f.write(rnd.randbytes(20000) if i % 3 else bytes(rnd.randrange(4) for _ in range(100000)))
PYTHON

kinds() {
    local options n=0

    cp "$tmp/source" in
    for options in cluster_size=512 cluster_size=4k cluster_size=64k cluster_size=2M \
        compression_type=zstd compression_type=zstd,cluster_size=4k \
        compression_type=zstd,cluster_size=2M,refcount_bits=64; do
        n=$((n + 1))
        t convert -c -f raw -O qcow2 -o "$options" in "q$n"
        "$real" compare -f raw -F qcow2 in "q$n"
        sound "q$n"
        t convert -f qcow2 -O raw "q$n" back
        cmp in back
        allocated qcow2 "q$n"
    done
}
side_by_side kinds
equal -f qcow2 -F qcow2 q1 q2 q3 q4 q5 q6 q7

out_of_order() {
    cp "$tmp/source" in
    t convert -c -W -m 16 -p -f raw -O qcow2 in q
    "$real" compare -f raw -F qcow2 in q
    t convert -c -S 0 -f raw -O qcow2 in full
    "$real" compare -f raw -F qcow2 in full
    allocated qcow2 full
    sound q
    sound full
}
side_by_side out_of_order

# A second layer: compressed clusters above a backing file.
above_a_backing_file() {
    make_image -f qcow2 base 4M
    io -c 'write -P 1 0 4M' base
    make_image -f qcow2 -b base -F qcow2 top 4M
    io -c 'write -P 2 100k 300k' top
    t convert -c -O qcow2 -B base -F qcow2 top q
    "$real" compare top q
    allocated qcow2 q
    sound q
}
side_by_side above_a_backing_file
equal q
