#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# info: of images of many kinds, of chains and of what cannot be opened, for people and as JSON.

source "$(dirname "$0")/img-side-by-side.sh"

mask_disk_size() {
    sed -E 's/(disk size: ).*/\1X/; s/("actual-size": )[0-9]+/\1X/; s/"date-n?sec": [0-9]+/DATE/
            s/20[0-9-]{8} [0-9:]{8}/DATE/'
}

images() {
    make_image -f qcow2 base 64M
    make_image -f qcow2 -b base -F qcow2 -o lazy_refcounts=on top 65M
    "$real" snapshot -c first top
    "$real" snapshot -c 'second "one"' top
    "$real" bitmap --add top all
    "$real" bitmap --add --disable -g 4k top old
    mkdir d
    make_image -f qcow2 -u -b ../top -F qcow2 d/above 64M
    make_image -f qcow2 -o compat=0.10 v2 1000
    make_image -f qcow2 -o extended_l2=on,compression_type=zstd,refcount_bits=1 ext 1T
    make_image -f qcow2 -o data_file=data,data_file_raw=on external 1M
    make_image -f qcow2 -u -b nofile -F raw broken 1M
    make_image -f qcow2 -u -b loop -F qcow2 loop 1M
    make_image raw 1500k
    make_image -f qcow2 $'na\tme \xc3\xa9' 1M
}

every_image() {
    images
    for image in base top d/above v2 ext external broken raw $'na\tme \xc3\xa9' file:base nofile \
        'json:{"driver":"raw","file":{"driver":"file","filename":"base"}}'; do
        for options in "" --output=json --backing-chain "--backing-chain --output=json" -U \
            "-f raw" "-f qcow2 --output=human"; do
            # shellcheck disable=SC2086 # they are several words
            t info $options "$image"
        done
    done | mask_disk_size
}
side_by_side every_image

by_options() {
    images
    for options in driver=qcow2,file.filename=top driver=raw,file.driver=file,file.filename=raw \
        driver=raw,,file=x driver=foo driver=qcow2,file.filename=nofile; do
        t info --image-opts $options
        t info -U --image-opts $options
    done | mask_disk_size
    t info -U --image-opts driver=raw,force-share=off,file.filename=raw
    t info --backing-chain loop
}
side_by_side by_options
