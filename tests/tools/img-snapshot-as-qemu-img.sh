#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# snapshot: the table, and what creating, applying and deleting say and leave, as with qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

mask_dates() {
    sed -E 's/20[0-9-]{8} [0-9:]{8}/DATE/'
}
byte_is() {
    qemu-io -c "read -P $1 0 64k" a | grep -c failed || true
}

life() {
    make_image -f qcow2 a 4M
    io -c 'write -P 1 0 64k' a
    t snapshot a
    t snapshot -l a
    t snapshot -c one a
    io -c 'write -P 2 0 64k' a
    t snapshot -q -c two a
    t snapshot -c one a
    t snapshot -c '' a
    t snapshot -c a-name-that-is-longer-than-its-column a
    t snapshot -l a
    t snapshot -l -U a
    t snapshot -a one a
    byte_is 1
    t snapshot -a 2 a
    byte_is 2
    t snapshot -d nothing a
    t snapshot -d 3 a
    t snapshot -d one a
    t snapshot -d two a
    t snapshot -c again --image-opts driver=qcow2,file.filename=a
    t snapshot -l --image-opts driver=qcow2,file.filename=a
    t snapshot -U -c x a
    "$real" snapshot -l a
    sound a
}
masked() {
    life | mask_dates
}
side_by_side masked
equal -f qcow2 -F qcow2 a

other_formats() {
    make_image raw 1M
    t snapshot -l raw
    t snapshot -c x raw
    t snapshot -d x raw
    t snapshot -l nofile
    make_image -f qcow2 -o refcount_bits=1 narrow 1M
    io -c 'write 0 64k' narrow
    t snapshot -c x narrow
}
side_by_side other_formats
sound "$tmp/ours/narrow"
