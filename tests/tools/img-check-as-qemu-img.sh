#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# check: what it finds and mends, for people and as JSON, and its statuses are those of qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

# patch FILE OFFSET HEX
patch() {
    # shellcheck disable=SC2059 # the bytes are the format
    printf "$(sed 's/../\\x&/g' <<<"$3")" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

images() {
    make_image -f qcow2 good 4M
    io -c 'write 0 1M' good
    "$real" convert -c -f qcow2 -O qcow2 good compressed
    make_image raw 1M
    # Cluster 4 is the first free one after header, refcount table and block, L1 table.
    make_image -f qcow2 leak 4M
    patch leak $((0x20000 + 2 * 10)) 0001
    # An L2 entry that the refcounts do not know.
    cp good corrupt
    patch corrupt $((0x20000 + 2 * 6)) 0000
    make_image -f qcow2 -o lazy_refcounts=on dirty 4M
    patch dirty 79 01
}

looks() {
    images
    for image in good compressed raw leak corrupt dirty nofile; do
        t check $image
        t check --output=json $image
        t check -q $image
        t check -U -T none -f qcow2 $image
    done
}
side_by_side looks

mends() {
    images
    for image in leak corrupt dirty; do
        cp $image copy
        t check -r leaks $image
        t check $image
        t check -r all copy
        t check copy
        cp copy $image
    done
    images
    t check -r all --output=json leak
    t check -q -r all corrupt
    t check -r all raw
}
side_by_side mends
