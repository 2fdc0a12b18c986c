#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bitmap: each action, several at once, and from another image, as with qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

# The names of nodes in messages are made up anew each time.
masked() {
    "$1" | sed -E 's/#block[0-9]+/#NODE/'
}

actions() {
    make_image -f qcow2 a 4M
    make_image -f qcow2 b 4M
    make_image -f qcow2 -o compat=0.10 old 4M
    make_image -f raw raw 4M
    t bitmap --add a b0
    t bitmap --add -g 4k a b1
    t bitmap --add a b1
    t bitmap --add --disable a b2
    t bitmap --add -g 3k a x
    t bitmap --add -g 256 a x
    t bitmap --add -g 1x a x
    t bitmap --add a ''
    t bitmap --remove a nothing
    t bitmap --remove a b0
    t bitmap --clear a b1
    t bitmap --enable a b2
    t bitmap --disable a b1
    t bitmap --enable --clear a b1
    io -c 'write 0 64k' -c 'write 1M 4k' a
    t bitmap --merge b1 a b2
    t bitmap --merge nothing a b2
    t bitmap --add --merge b1 -b a -F qcow2 b y
    t bitmap --merge b1 -b a b y
    t bitmap --clear --merge b2 --disable -b a b y
    t bitmap --add -F qcow2 a x
    t bitmap --add -b a b x
    t bitmap -g 4k --remove a b1
    t bitmap a b1
    t bitmap --add a
    t bitmap --add -f raw raw x
    t bitmap --add old x
    t bitmap --add nofile x
    t bitmap --add --image-opts driver=qcow2,file.filename=a z
    t bitmap --merge
    for image in a b; do
        "$real" info --output=json $image | grep -v actual-size
        sound $image
    done
}
all_actions() { masked actions; }
side_by_side all_actions

merged() {
    make_image -f qcow2 a 4M
    t bitmap --add a first
    io -c 'write 0 64k' -c 'write 3M 1M' a
    t bitmap --add -g 1M a second
    t bitmap --merge first a second
    sound a
}
side_by_side merged

# bits FOLDER: what qemu-nbd says is dirty in the merged bitmap.
bits() {
    nbdinfo --map=qemu:dirty-bitmap:second -- \
        [ qemu-nbd -r -t -f qcow2 -B second "$tmp/$1/a" ]
}
requires qemu-nbd nbdinfo
bits theirs >"$tmp/theirs.bits"
bits ours >"$tmp/ours.bits"
grep -q 1048576 "$tmp/theirs.bits"
diff -u "$tmp/theirs.bits" "$tmp/ours.bits"
