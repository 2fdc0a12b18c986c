#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that has grown is larger to the kernel when it connects again, and so is the file system
# then; a qcow2 image.  Afterwards QEMU finds no fault with the image, nor e2fsck with the file
# system.
source "$(dirname "$0")/guest.sh"
requires qemu-img

qemu-img create -q -f qcow2 "$tmp/disk" 48M
serve --format=qcow2 --discard=unmap "$tmp/disk"
host_grow() {
    stop_server
    qemu-img resize -q -f qcow2 "$tmp/disk" 96M
    serve --format=qcow2 --discard=unmap "$tmp/disk"
    echo "$port"
}

run_guest -e port="$port" <<'END'
step "a file system in a qcow2 image"
attach "$port"
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
write_files /mnt
files_are_right /mnt
fstrim /mnt
umount /mnt
detach

step "the image has grown"
port=$(host grow)
attach "$port"
[ "$(cat /sys/block/nbd0/size)" -eq $((96 << 11)) ]
mount -t ext4 /dev/nbd0 /mnt
files_are_right /mnt
write_files /mnt
files_are_right /mnt
/sbin/resize2fs /dev/nbd0
files_are_right /mnt
[ "$(df -m /mnt | awk 'NR == 2 { print $2 }')" -gt 64 ]
umount /mnt
detach
no_io_error
END

stop_server
qemu-img check -f qcow2 "$tmp/disk"
qemu-img convert -f qcow2 -O raw "$tmp/disk" "$tmp/raw"
e2fsck -fn "$tmp/raw"
