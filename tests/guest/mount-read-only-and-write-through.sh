#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the kernel makes of an export's flags: a read-only export is read-only to it, and with
# --cache=writethrough it has nothing to flush.
source "$(dirname "$0")/guest.sh"

mkdir "$tmp/files"
echo "as it was made" >"$tmp/files/note"
truncate -s 32M "$tmp/disk"
mke2fs -q -t ext4 -d "$tmp/files" "$tmp/disk"
cp --sparse=always "$tmp/disk" "$tmp/through"
serve --export name=fixed,image="$tmp/disk",format=raw,read-only=on \
    --export name=through,image="$tmp/through",format=raw,cache=writethrough

run_guest -e port="$port" <<'END'
step "a read-only export is a read-only device"
attach "$port" -N fixed
[ "$(cat /sys/block/nbd0/ro)" -eq 1 ]
must_fail dd if=/dev/zero of=/dev/nbd0 bs=4096 count=1 conv=fsync

step "its file system can be read, and not written to"
# busybox's mount, refused, tries read-only by itself.
mount -t ext4 -o rw /dev/nbd0 /mnt
grep -q '^/dev/nbd0 /mnt ext4 ro,' /proc/mounts
[ "$(cat /mnt/note)" = "as it was made" ]
must_fail touch /mnt/new
must_fail mount -o remount,rw /mnt
umount /mnt
detach

step "a write-through export has no write cache"
attach "$port" -N through
[ "$(cat /sys/block/nbd0/queue/write_cache)" = "write through" ]
mount -t ext4 /dev/nbd0 /mnt
write_files /mnt
files_are_right /mnt
umount /mnt
detach
END

stop_server
e2fsck -fn "$tmp/disk"
e2fsck -fn "$tmp/through"
