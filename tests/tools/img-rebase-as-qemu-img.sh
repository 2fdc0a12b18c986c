#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# rebase gives an image another backing file and leaves what it shows as it was (safe), or leaves
# its clusters as they were (-u); -b "" leaves it without one.  As qemu-img does it.

source "$(dirname "$0")/img-side-by-side.sh"

# Backing files of SIZE and SIZE2 below an image of 4M and a bit.
make_chain() {
    make_image -f qcow2 old "$1"
    io -c 'write -P 1 0 256k' -c 'write -P 2 1M 192k' old
    make_image -f qcow2 new "$2"
    io -c 'write -P 1 0 128k' -c 'write -P 3 1M 64k' -c 'write -P 9 1900k 100k' new
    make_image -f qcow2 -b old -F qcow2 top 4195840
    io -c 'write -P 4 64k 64k' -c 'write -z 192k 64k' top
    "$real" convert -f qcow2 -O raw top before
}

same_content() {
    "$real" compare -f qcow2 -F raw top before
    sound top
    "$real" info top | grep -E '^backing'
}

onto_another() {
    make_chain "$1" "$2"
    t rebase -b new -F qcow2 top
    same_content
    allocated qcow2 top
}
onto_equally_long() { onto_another 4M 4M; }
onto_longer() { onto_another 2M 6M; }
onto_shorter() { onto_another 4M 2000k; }
shorter_both() { onto_another 2000k 2500k; }

for case in onto_equally_long onto_longer onto_shorter shorter_both; do
    side_by_side $case
    equal -f qcow2 -F qcow2 top
done

onto_none() {
    make_chain 4M 4M
    t rebase -p -b '' top
    same_content
    allocated qcow2 top
}
side_by_side onto_none
equal -f qcow2 -F qcow2 top

unsafe() {
    make_chain 4M 4M
    t rebase -u -b new -F qcow2 top
    "$real" info top | grep -E '^backing'
    t rebase -u -b missing -F raw top
    "$real" info top | grep -E '^backing'
    t rebase -u -b '' top
    "$real" info top | grep -E '^backing' || echo none
    sound top
    t rebase -u top
    t rebase -u -b new top
}
side_by_side unsafe

# Further down the same chain: only what lies between is copied.
down_the_chain() {
    make_chain 4M 4M
    make_image -f qcow2 -b top -F qcow2 last 5M
    io -c 'write -P 7 3M 64k' last
    "$real" convert -f qcow2 -O raw last before_last
    t rebase -q -b old -F qcow2 last
    "$real" compare -f qcow2 -F raw last before_last
    allocated qcow2 last
    sound last
}
side_by_side down_the_chain
equal -f qcow2 -F qcow2 last

# Parts of clusters of an image that had no backing file: they stay zeroes over the new one.
first_backing_file() {
    make_image -f raw base 2M
    io -f raw -c 'write -P 1 300 1500' -c 'write -P 2 100k 1' -c 'write -P 3 1M 70000' base
    for options in cluster_size=4k extended_l2=on data_file=data,cluster_size=16k; do
        rm -f alone data
        make_image -f qcow2 -o "$options" alone 2M
        io -c 'write -P 7 1100k 4k' alone
        "$real" convert -f qcow2 -O raw alone before_alone
        t rebase -q -b base -F raw alone
        "$real" compare -f qcow2 -F raw alone before_alone
        allocated qcow2 alone
        sound alone
    done
}
side_by_side first_backing_file

refusals() {
    make_chain 4M 4M
    t rebase top
    t rebase
    t rebase -b new -F nonsense top
    t rebase -b missing -F qcow2 top
    t rebase -b new -F qcow2 -t sometimes top
    t rebase -b new -F qcow2 -T sometimes top
    truncate -s 1M plain
    t rebase -f raw -u -b new -F qcow2 plain
    same_content
}
side_by_side refusals
