#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# compare: verdicts, places, progress and statuses are those of qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

images() {
    make_image r1 1M
    io -f raw -c 'write -P 1 0 1M' r1
    make_image -f qcow2 q1 1M
    io -c 'write -P 1 512k 512k' -c 'write -P 1 0 512k' q1
    "$real" convert -c -f raw -O qcow2 r1 c1
    make_image long 2M
    io -f raw -c 'write -P 1 0 1M' long
    cp long longer
    io -f raw -c 'write -P 1 1800k 512' longer
    cp r1 other
    io -f raw -c 'write -P 2 700000 1' other
    make_image -f qcow2 empty 1M
    make_image -f qcow2 zero 1M
    io -c 'write -z 0 1M' zero
    make_image -f qcow2 -b q1 -F qcow2 overlay 1M
}

every_pair() {
    images
    for one in r1 q1 c1 long longer other empty zero overlay nofile; do
        for two in r1 q1 c1 long longer other empty zero overlay nofile; do
            t compare $one $two
            t compare -s $one $two
        done
    done
    t compare -q r1 other
    t compare -f raw -F qcow2 r1 q1
    t compare -f raw -F raw r1 q1
    t compare -U -T none r1 q1
    t compare -T foo r1 q1
    t compare --image-opts driver=raw,file.filename=r1 driver=qcow2,file.filename=q1
}
side_by_side every_pair

# Where a backing file ends within an image, that is no difference to one that goes on.
short_backing_file() {
    make_image -f raw short 1M
    io -f raw -c 'write -P 1 0 1M' short
    make_image -f qcow2 -b short -F raw over 2M
    make_image -f raw flat 2M
    io -f raw -c 'write -P 1 0 1M' flat
    t compare -s -f qcow2 -F raw over flat
}
side_by_side short_backing_file

# All of it: neither the steps nor the line's end depend on time.
progress() {
    images
    t compare -p r1 q1 | tr '\r' '\n'
    t compare -p r1 longer | tr '\r' '\n'
    t compare -p long r1 | tr '\r' '\n'
    t compare -pq long r1 | tr '\r' '\n'
}
side_by_side progress
