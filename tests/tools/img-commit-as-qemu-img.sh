#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# commit writes what an image has into its backing file, or into any other below; then it is empty
# (but with -d or -b), and the output and the images are as qemu-img's.

source "$(dirname "$0")/img-side-by-side.sh"

# base (raw or qcow2) <- mid <- top, of different sizes.
make_chain() {
    make_image -f "$1" base 3M
    io -f "$1" -c 'write -P 1 0 3M' base
    make_image -f qcow2 -b base -F "$1" mid 2M
    io -c 'write -P 2 512k 512k' -c 'write -z 1M 192k' mid
    make_image -f qcow2 -b mid -F qcow2 top 5M
    io -c 'write -P 3 768k 512k' -c 'write -z 64k 64k' -c 'write -P 4 4M 64k' top
}

into_neighbour() {
    make_chain qcow2
    t commit top
    "$real" compare -f qcow2 -F qcow2 top mid
    sound top
    sound mid
    allocated qcow2 top
}
side_by_side into_neighbour
equal -f qcow2 -F qcow2 base mid top

into_neighbour_keeping_it() {
    make_chain qcow2
    t commit -d -p top
    allocated qcow2 top
    sound mid
}
side_by_side into_neighbour_keeping_it
equal -f qcow2 -F qcow2 mid top

into_base() {
    make_chain "$1"
    "$real" convert -f qcow2 -O raw top before
    t commit -b base top
    "$real" compare -f "$1" -F raw base before
    allocated qcow2 top
}
into_qcow2() {
    into_base qcow2
    sound base
}
into_raw() {
    into_base raw
}
side_by_side into_qcow2
equal -f qcow2 -F qcow2 base top
side_by_side into_raw
equal -f raw -F raw base

by_whatever_name() {
    make_chain qcow2
    mkdir elsewhere
    (cd elsewhere && t commit -q -b base ../top)
    t commit -b "./elsewhere/../base" -q top
    t commit -b "$PWD/mid" -r 1G -t writethrough -f qcow2 top | sed "s,$PWD,FOLDER,"
}
side_by_side by_whatever_name
equal -f qcow2 -F qcow2 base mid

refusals() {
    make_chain qcow2
    t commit
    t commit top mid | head -2
    t commit -b nothing top
    t commit -b top top
    t commit base
    t commit -t sometimes top
    t commit -r fast top
    t commit -f raw top
    t commit --image-opts driver=qcow2,file.filename=top
    t commit missing
}
side_by_side refusals

full() {
    make_chain qcow2
    local backing=backing.driver=qcow2,backing.file.driver=blkdebug,backing.file.image.driver=file

    backing+=,backing.file.image.filename=mid,backing.file.inject-error.0.event=write_aio
    backing+=,backing.file.inject-error.0.errno=28
    t commit --image-opts "driver=qcow2,file.filename=top,$backing" | grep -v '^qemu-img:'
    sound top
}
side_by_side full
equal -f qcow2 -F qcow2 top
