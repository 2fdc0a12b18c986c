#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# map: which parts of images and chains are data and zero, and where, as qemu-img sees them.

source "$(dirname "$0")/img-side-by-side.sh"

images() {
    make_image raw 1M
    io -f raw -c 'write 64k 64k' -c 'write 512k 64k' raw
    make_image -f qcow2 base 1M
    io -c 'write 0 512k' -c 'write 768k 1k' base
    make_image -f qcow2 -b base -F qcow2 middle 2M
    io -c 'write -z 64k 64k' -c 'write 1M 64k' -c 'write 100k 1k' middle
    make_image -f qcow2 -b middle -F qcow2 top 3M
    io -c 'write 2M 64k' -c 'discard 128k 64k' -c 'write -z 192k 64k' top
    make_image -f qcow2 -o extended_l2=on sub 1M
    io -c 'write 2k 2k' -c 'write 64k 64k' -c 'write -z 128k 4k' sub
    make_image -f qcow2 -o preallocation=metadata full 1M
    io -c 'write 64k 64k' full
    "$real" convert -c -f qcow2 -O qcow2 base compressed
    make_image -f qcow2 -o data_file=data external 1M
    io -c 'write 64k 64k' external
    make_image -f qcow2 -o data_file=raw_data,data_file_raw=on external_raw 1M
    io -c 'write -z 0 192k' external_raw
    make_image -f qcow2 empty 0
}

every_image() {
    images
    for image in raw base middle top sub full compressed external external_raw empty \
        nofile; do
        for options in "" --output=json "--output=json -s 70k -l 200k" "-s 512k" -U \
            "--output=json -s 100M" "--output=json -l 0" "-l 1000 --output=human"; do
            # shellcheck disable=SC2086 # they are several words
            t map $options $image
        done
    done
    t map -f raw base
    t map --image-opts driver=qcow2,file.filename=base
    t map -f qcow2 raw
}
side_by_side every_image
