#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# QEMU's own disk is on nbd-export: the guest makes a file system on it, and its flushes and trims
# arrive.
source "$(dirname "$0")/guest.sh"

truncate -s 64M "$tmp/disk"
serve --format=raw --discard=unmap "$tmp/disk"
host_allocated() {
    stat -c %b "$tmp/disk"
}

run_guest -drive "file=nbd://127.0.0.1:$port/,format=raw,if=none,id=disk,discard=unmap" \
    -device virtio-blk-pci,drive=disk <<'END'
step "a file system is made, and written to"
[ "$(cat /sys/block/vda/size)" -eq $((64 << 11)) ]
make_ext4 /dev/vda
mount -t ext4 /dev/vda /mnt
write_files /mnt
files_are_right /mnt

step "what fstrim trims is free on the host"
dd if=/dev/urandom of=/mnt/large bs=1M count=16 2>/dev/null
sync
before=$(host allocated)
rm /mnt/large
sync
fstrim /mnt
after=$(host allocated)
[ $((before - after)) -ge $((16 << 11)) ] || fail "$before blocks before, $after after"
umount /mnt
mount -t ext4 /dev/vda /mnt
files_are_right /mnt
umount /mnt
no_io_error
END

stop_server
e2fsck -fn "$tmp/disk"
