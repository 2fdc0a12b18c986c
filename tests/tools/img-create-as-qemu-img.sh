#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# create: what it prints, what it refuses and the images it leaves are those of qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

# Image and backing file; a refused one must leave nothing behind.
sizes_and_backing_files() {
    t create -f qcow2 -o size=1M a1
    t create -f qcow2 -o size=1M a1 2M
    t create -f qcow2 -b a1 -F qcow2 a2
    t create -f qcow2 -o backing_file=a1,backing_fmt=qcow2 a3 3M
    t create -f qcow2 -o backing_file=a1 -o backing_fmt=qcow2 a3 3M
    t create -q -f qcow2 -b a1 -F raw a4
    t create -f raw -b a1 x
    t create -f raw -F raw x 1
    t create -f qcow2 -b x -F qcow2 x
    t create -f qcow2 -b nofile -F qcow2 x 1M
    t create -f qcow2 -b a1 -F foo x 1M
    t create -f qcow2 -b '' x 1M
    t create -f qcow2 -u -b nofile x 1M
    t create -f qcow2 -u -b nofile -F qcow2 x
    t create -f qcow2 -u -b nofile -F qcow2 a5 3M
    t create -f qcow2 -o backing_fmt=qcow2,size=1M x
    t create -f qcow2 'a,6' 1000
    t create -f raw a7 1.5k
    t create -f raw a8 1000
    t create -f qcow2 x 1 2
    t create -f qcow2 x 1x
    t create x
    ls
    stat -c '%n %s' a7 a8
    for image in a1 a2 a3 a4 a5 a,6; do
        "$real" info --output=json $image | grep -v actual-size
        sound $image
    done
}
side_by_side sizes_and_backing_files

options() {
    t create -f qcow2 -o compat=0.10,cluster_size=4k b1 10M
    t create -f qcow2 -o extended_l2=on,cluster_size=128k,compression_type=zstd b2 10M
    t create -f qcow2 -o preallocation=metadata,lazy_refcounts=on b3 1M
    t create -f qcow2 -o refcount_bits=1,preallocation=full b4 1M
    t create -f qcow2 -o data_file=df,data_file_raw=on b5 1M
    t create -f qcow2 -o lazy_refcounts b6 1M
    t create -f raw -o preallocation=full b7 1M
    for image in b1 b2 b3 b4 b5 b6; do
        "$real" info --output=json $image | grep -v actual-size
        "$real" map --output=json $image | sed 's/, "offset": [0-9]*//'
        sound $image
    done
    stat -c '%n %s %b' b7 df
}
side_by_side options

refused_options() {
    for option in cluster_size=3 cluster_size=1x cluster_size=4M lazy_refcounts=maybe size=1x \
        refcount_bits=3 refcount_bits=65 compat=9 compression_type=foo preallocation=foo foo=1 "," \
        compat=0.10,lazy_refcounts=on compat=0.10,refcount_bits=8 compat=0.10,extended_l2=on; do
        t create -f qcow2 -o $option x 1M
    done
    t create -f qcow2 -o cluster_size=512 x 1E
    t create -f raw -o preallocation=metadata x 1M
    t create -f foo x 1M
    t create -f null-co x 1M
    t create null-co:// 1M
    t create -f qcow2 nofolder/x 1M
}
side_by_side refused_options
# qemu-img leaves what it began.
[ -z "$(ls "$tmp/ours")" ] || fail "refused, but made"

help() {
    t create -f qcow2 -o help
    t create -f qcow2 -o help x
    t create -f raw -o help x
    t create -f raw -o size=1,help x
}
side_by_side help
