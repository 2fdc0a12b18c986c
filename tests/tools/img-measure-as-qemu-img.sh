#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# measure: sizes of images to be made, for people and as JSON, and refusals, as with qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

images() {
    make_image -f qcow2 a 4M
    io -c 'write -P 1 0 64k' a
    "$real" snapshot -c s1 a
    "$real" bitmap --add a b0
    make_image raw 3M
    io -f raw -c 'write 1M 64k' raw
}

measures() {
    images
    for words in "a b" "--output=x" "-f raw" "--size 1 a" "" "-l s1" "--size 1x" "-O foo --size 1" \
        "-o foo=1 --size 1" "-l snapshot.foo=1 a" "-l foo a" "-O null-co --size 1" \
        "-O qcow2 -o cluster_size=3 --size 1" "-O qcow2 --size 1G --output=json" "-O qcow2 a" \
        "--output=json -O qcow2 a" "a" "-O qcow2 -l snapshot.id=1 a" "-O qcow2 -l s1 a" \
        "-O qcow2 -o preallocation=full --size 3G" "-O raw raw" "-O qcow2 raw" "-O qcow2 -U a" \
        "-O qcow2 -o cluster_size=4k,refcount_bits=1 --size 1T" "-O qcow2 -o nocow=on raw" \
        "-O qcow2 -o extended_l2=on --size 1T" "-O qcow2 -o compat=0.10 a" \
        "-O qcow2 --image-opts driver=qcow2,file.filename=a" "nofile"; do
        # shellcheck disable=SC2086 # they are several words
        t measure $words
    done
}
side_by_side measures
