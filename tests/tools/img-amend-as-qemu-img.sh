#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# amend: options that an image can get, and those that it cannot, as with qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

amends() {
    make_image -f qcow2 a 4M
    make_image raw 4M
    for words in "a" "-o help a" "-f qcow2 -o help" "-f foo -o help" "-o size=8M a" \
        "-o lazy_refcounts=on a" "-p -o compat=0.10 a" "-o compat=v3 a" "-pq -o compat=0.10 a" \
        "-o compat=1.1,lazy_refcounts=on,refcount_bits=8 a" "-p -o refcount_bits=16 a" \
        "-o refcount_bits=17 a" "-o cluster_size=4k a" "-o foo=1 a" "-t foo -o size=9M a" \
        "-t none -o size=9M a" "-o size=9M -f raw raw" "-o size=9M a b" "-o size=9M nofile" \
        "--force -o compat=v3 a" "-o , a"; do
        # shellcheck disable=SC2086 # they are several words
        t amend $words
        "$real" info --output=json a | grep -v actual-size
        sound a
    done
}
side_by_side amends
