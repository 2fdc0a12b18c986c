#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system on four connections to nbd-export, with blocks of 4096 bytes: set up through
# netlink, then through ioctl.
source "$(dirname "$0")/guest.sh"

truncate -s 64M "$tmp/disk"
serve --format=raw --threads=4 "$tmp/disk"
host_clients() {
    grep -c 'client.*: connected' "$server_log"
}

run_guest -e port="$port" <<'END'
step "four connections by netlink"
attach "$port" -b 4096 -C 4
[ "$(host clients)" -eq 4 ]
[ "$(cat /sys/block/nbd0/queue/logical_block_size)" -eq 4096 ]
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
write_files /mnt
files_are_right /mnt
umount /mnt
detach

step "four connections by ioctl"
attach "$port" -L -b 4096 -C 4
[ "$(host clients)" -eq 8 ]
[ "$(cat /sys/block/nbd0/queue/logical_block_size)" -eq 4096 ]
mount -t ext4 /dev/nbd0 /mnt
files_are_right /mnt
write_files /mnt
files_are_right /mnt
umount /mnt
detach -L
no_io_error
END

stop_server
e2fsck -fn "$tmp/disk"
