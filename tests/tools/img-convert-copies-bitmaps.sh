#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# convert --bitmaps takes the persistent bitmaps of an image along, all but inconsistent ones, as
# qemu-img does.

source "$(dirname "$0")/img-side-by-side.sh"

make_source() {
    make_image -f qcow2 in 8M
    "$real" bitmap --add in b0
    "$real" bitmap --add -g 4k in b1
    io -f qcow2 -c 'write -P 1 1M 70000' -c 'write -P 2 5M 1' in
    "$real" bitmap --disable in b1
}

# bitmaps IMAGE: their names, granularities and flags, and what is dirty in b1.
bitmaps() {
    "$real" info "$1" | sed -n '/bitmaps:/,/refcount/p'
    "$real" convert -f qcow2 -O qcow2 --bitmaps "$1" merged
    "$real" bitmap --merge b1 merged b0
    "$real" measure -O qcow2 merged | grep bitmaps
}

along() {
    make_source
    t convert --bitmaps -O qcow2 in out
    bitmaps out
    sound out
    "$real" compare in out
    t convert --bitmaps -c -O qcow2 out out2
    bitmaps out2
    t convert -O qcow2 in plain
    "$real" info plain | grep -c bitmaps
    t convert --bitmaps -O raw in raw
    t convert --bitmaps -O qcow2 -o compat=0.10 in old
    t convert --bitmaps in in out
    t convert --skip-broken-bitmaps in out
    t convert --bitmaps -f raw in -O qcow2 out
}
side_by_side along
equal out out2

# A bitmap whose image was not closed is inconsistent.
broken() {
    make_source
    (qemu-io -f qcow2 -c 'write -P 3 0 64k' -c abort in || true) >/dev/null 2>&1
    t convert --bitmaps -O qcow2 in out
    t convert --bitmaps --skip-broken-bitmaps -O qcow2 in out
    "$real" info out | sed -n '/bitmaps:/,/refcount/p'
}
side_by_side broken
