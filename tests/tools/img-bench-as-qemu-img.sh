#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bench sends its requests and says so in qemu-img's lines; what it writes is there.

source "$(dirname "$0")/img-side-by-side.sh"

runs() {
    make_image -f raw disk 4M
    make_image -f qcow2 disk.qcow2 4M
    t bench -c 100 -d 8 -f raw disk
    t bench -c 100 -q -U -o 1M -s 64k -S 4k -t none -n -f raw disk
    t bench -w -c 64 -d 4 -s 64k --pattern 0x5a --flush-interval 8 -t writeback -f qcow2 disk.qcow2
    t bench -w -c 64 -d 4 --flush-interval 8 --no-drain -i threads -f raw disk
    t bench -c 7 -d 1000 --image-opts driver=raw,file.filename=disk
    t bench -c 0 -f raw disk
    t bench -c 10 -s 3 -S 1000 -o 77 -f raw disk
    qemu-io -f qcow2 -c 'read -P 0x5a 0 4M' disk.qcow2 | grep -c 'verification failed' || true
    sound disk.qcow2
}
side_by_side runs
equal -f qcow2 -F qcow2 disk.qcow2

refusals() {
    make_image -f raw disk 1M
    t bench
    t bench -c x -f raw disk
    t bench -d x -f raw disk
    t bench -s 3G -f raw disk
    t bench -S -1 -f raw disk
    t bench -o z -f raw disk
    t bench -i nonsense -f raw disk
    t bench -t nonsense -f raw disk
    t bench --pattern 300 -f raw disk
    t bench --flush-interval 10 -f raw disk
    t bench -w --flush-interval 1 -f raw disk
    t bench -o 1M -c 1 -f raw disk
    t bench missing
}
side_by_side refusals
