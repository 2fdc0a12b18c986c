#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# resize: sizes, refusals and what the images are afterwards are those of qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

images() {
    make_image -f qcow2 image 4M
    io -c 'write -P 1 0 64k' -c 'write -P 2 3M 1M' image
    "$real" convert -f qcow2 -O raw image raw
}

resize() {
    images
    t resize "$@"
    "$real" info image | grep virtual
    stat -c %s raw
    sound image
}

for words in "image" "image 1x" "image +1x" "image -" "image 0" "image -4M" "image 2M" \
    "--shrink image 2M" "image 2M --shrink" "image 4M" "image 1G" "image +1.5M" "-q image +1k" \
    "--shrink image -1M" "--preallocation=full image 4M" "--preallocation=foo image 5M" \
    "--preallocation=metadata image 8M" "--preallocation=full image 5M" \
    "--preallocation=falloc -f raw raw 5M" "-f foo image 5M" "-f raw raw 5M" "-f raw raw 1000" \
    "-f raw --shrink raw 1M" "raw 5M" "-f raw raw -- -1k" "--shrink -f raw raw -- -1k" \
    "nofile 1M" "--image-opts driver=qcow2,file.filename=image 5M" "image raw 5M" \
    "image 99999999999999999999999"; do
    run() {
        # shellcheck disable=SC2086 # they are several words
        resize $words
    }
    side_by_side run
    equal -f qcow2 -F qcow2 image
    equal -f raw -F raw raw
done
