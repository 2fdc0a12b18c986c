#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system of the kernel's on nbd-export: made, written by several at a time, trimmed, and
# found again by the next connection.  Blocks of 512 bytes, one connection, set up through netlink.
source "$(dirname "$0")/guest.sh"

truncate -s 64M "$tmp/disk"
serve --format=raw --discard=unmap "$tmp/disk"
host_allocated() {
    stat -c %b "$tmp/disk"
}

run_guest -e port="$port" <<'END'
attach "$port" -b 512
step "the device is what the server says"
[ "$(cat /sys/block/nbd0/size)" -eq $((64 << 11)) ]
[ "$(cat /sys/block/nbd0/queue/logical_block_size)" -eq 512 ]
[ "$(cat /sys/block/nbd0/queue/write_cache)" = "write back" ]

step "a file system is made, mounted and written to"
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
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

step "the next connection finds it all"
umount /mnt
detach
[ "$(cat /sys/block/nbd0/size)" -eq 0 ]
attach "$port" -b 512
mount -t ext4 /dev/nbd0 /mnt
files_are_right /mnt
umount /mnt
detach
no_io_error
END

stop_server
e2fsck -fn "$tmp/disk"
