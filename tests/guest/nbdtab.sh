#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A device named in /etc/nbdtab is attached and detached as nbd@.service of Debian does it.
source "$(dirname "$0")/guest.sh"
unit=/lib/systemd/system/nbd@.service
[ -e "$unit" ] || skip "$unit is not installed"

truncate -s 64M "$tmp/disk"
serve --export name=data,image="$tmp/disk",format=raw,discard=unmap
mkdir "$guest_files/etc"
# nbd-client 3.24 reads `port=` and does not heed it: the port has to be 10809.
echo "nbd0  127.0.0.1  data  conns=2,bs=4096" >"$guest_files/etc/nbdtab"
{
    echo "set -e"
    sed -n 's/^ExecStart=\(.*\)%i$/start() { \1nbd0; }/p
            s/^ExecStop=\(.*\)%i$/stop() { \1nbd0; }/p' "$unit"
} >"$guest_files/unit"

run_guest -e port="$port" <<'END'
nc -ll -p 10809 -e nc "$host" "$port" &
until_true sh -c 'netstat -ltn | grep -q :10809'

step "nbd@nbd0.service starts, and stops"
. /unit
start
[ "$(cat /sys/block/nbd0/queue/logical_block_size)" -eq 4096 ]
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
write_files /mnt
umount /mnt
stop
until_true test ! -e /sys/block/nbd0/pid
start
mount -t ext4 /dev/nbd0 /mnt
files_are_right /mnt
umount /mnt
stop
no_io_error
END

stop_server
e2fsck -fn "$tmp/disk"
