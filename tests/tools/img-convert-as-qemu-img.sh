#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# convert makes, from the same command line, what qemu-img makes: the same output, content and
# allocated extents, whatever the format, the size of holes, the order, and with several sources.

source "$(dirname "$0")/img-side-by-side.sh"

# Data, runs of zeroes of many lengths inside them, holes.
make_source() {
    "$PYTHON3" - "$1" <<'PYTHON'
import random, sys
rnd = random.Random(7)
with open(sys.argv[1], 'wb') as f:
    f.truncate(9 * 1024 * 1024 + 512)
    for at in (0, 1 << 20, (3 << 20) + 512, 7 << 20, (9 << 20) - 4096):
        f.seek(at)
        for _ in range(40):
            f.write(rnd.randbytes(512 * rnd.choice((1, 3, 8, 64))))
            f.write(bytes(512 * rnd.choice((1, 2, 7, 8, 9, 16, 100))))
PYTHON
}
make_source "$tmp/source"

to_and_fro() {
    cp "$tmp/source" in
    t convert -f raw -O qcow2 in q
    sound q
    t convert -p -O raw q out
    cmp in out
    t convert q default
    cmp in default
    t convert -q -O qcow2 -o cluster_size=4k,compat=0.10 q q4k
    sound q4k
    allocated qcow2 q
    extents -f raw out
    allocated qcow2 q4k
    t convert --image-opts --target-image-opts -n driver=qcow2,file.filename=q \
        driver=raw,file.filename=default
}
side_by_side to_and_fro
equal q q4k

holes() {
    local size

    cp "$tmp/source" in
    for size in 0 512 4k 10k 64k 100k 1M 16M; do
        t convert -f raw -O raw -S $size in "raw$size"
        cmp in "raw$size"
        extents -f raw "raw$size"
        t convert -f raw -O qcow2 -S $size in "q$size"
        allocated qcow2 "q$size"
        sound "q$size"
    done
}
side_by_side holes
equal q0 q512 q4k q10k q64k q100k q1M q16M

orders() {
    local options

    cp "$tmp/source" in
    for options in -W '-W -m 16' '-m 1' '-m 3' -C '-W -C' '-t none' '-T none -t writethrough' \
        '-r 1G' -U; do
        # shellcheck disable=SC2086
        t convert $options -f raw -O qcow2 in out
        "$real" compare -f raw -F qcow2 in out
        sound out
    done
}
side_by_side orders

concatenation() {
    make_image -f qcow2 a 1000k
    io -f qcow2 -c 'write -P 1 900k 100k' a
    make_image -f qcow2 b 70000
    io -f qcow2 -c 'write -P 2 0 70000' b
    make_image -f qcow2 c 1M
    t convert -O qcow2 a b c out
    t convert -c -O qcow2 a b c packed
    "$real" compare out packed
    sound out
    t convert -O qcow2 -B a -F qcow2 a b out
    t convert -l nothing a b out
}
side_by_side concatenation
equal out packed

into_existing() {
    cp "$tmp/source" in
    make_image -f qcow2 small 9M
    make_image -f qcow2 large 12M
    io -f qcow2 -c 'write -P 9 0 12M' large
    make_image -f qcow2 fresh 9437696
    t convert -n -f raw -O qcow2 in small
    t convert -n -f raw -O qcow2 in large
    io -f qcow2 -c 'read -P 9 9500000 1M' large
    t convert -n --target-is-zero -f raw -O qcow2 in fresh
    "$real" compare -f raw -F qcow2 in fresh
    "$real" compare -f raw -F qcow2 in large
    t convert -n -f raw -O qcow2 in missing
    sound large
}
side_by_side into_existing
equal -f qcow2 -F qcow2 large fresh

onto_backing() {
    make_image -f qcow2 base 3M
    io -f qcow2 -c 'write -P 1 0 3M' base
    make_image -f qcow2 -b base -F qcow2 top 5M
    io -f qcow2 -c 'write -P 2 64k 64k' -c 'write -z 128k 64k' -c 'write -P 3 4M 100k' top
    t convert -O qcow2 -B base -F qcow2 top out
    t convert -O qcow2 -o backing_file=base,backing_fmt=qcow2 top out2
    "$real" compare out top
    "$real" compare out2 top
    allocated qcow2 out
    sound out
    t convert -O qcow2 top flat
    "$real" compare flat top
    t convert -O qcow2 -o backing_file=base top out3
    t convert -O qcow2 -B base top out3
    t convert -O raw -B base -F qcow2 top out3
    # qemu-img says what is wrong, and exits with 0.
    t convert -n --target-is-zero -O qcow2 -B base -F qcow2 top out | sed "s,^status 0,status 1,"
}
side_by_side onto_backing
equal out out2 flat

snapshots() {
    make_image -f qcow2 in 2M
    io -f qcow2 -c 'write -P 1 0 1M' in
    "$real" snapshot -c first in
    io -f qcow2 -c 'write -P 2 512k 1M' in
    t convert -l first -O raw in out
    t convert -l snapshot.name=first -O raw in out2
    t convert -l snapshot.id=1 -O qcow2 in out3
    cmp out out2
    "$real" compare -f raw -F qcow2 out out3
    t convert -l second -O raw in out4
    t convert -l snapshot.nonsense=1 -O raw in out4
}
side_by_side snapshots
equal -f raw -F raw out

refusals() {
    cp "$tmp/source" in
    t convert
    t convert in
    t convert -f raw in -O nonsense out
    t convert -f nonsense in out
    t convert -f raw missing out
    t convert -f raw -O raw in missing/out
    t convert -f raw -C -c in out
    t convert -f raw -C -S 4k in out
    t convert -f raw -C --salvage in out
    t convert -f raw -S 4000 in out
    t convert -f raw -S 17M in out
    t convert -f raw -S x in out
    t convert -f raw -m 0 in out
    t convert -f raw -m 17 in out
    t convert -f raw -r -1 in out
    t convert -f raw -t sometimes in out
    t convert -f raw -T sometimes in out
    t convert -f raw -n -o cluster_size=4k -O qcow2 in out
    t convert -f raw --target-is-zero in out
    t convert -f raw --target-image-opts in out
    t convert -f raw -c -O raw in out
    t convert -f raw -c -O qcow2 -o preallocation=full in out
    t convert -f raw -O qcow2 -o nonsense=1 in out
    t convert -f raw -O qcow2 -o ,, in out
    t convert -f raw -B base -F raw -O raw in out
    t convert --nonsense in out
    ls
}
side_by_side refusals
