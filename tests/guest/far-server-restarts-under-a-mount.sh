#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbd-client is attached to an nbd-export whose image is the export of another one, which is killed
# and started again under a mounted file system that several write to: nobody sees an error, and
# nothing is lost.
source "$(dirname "$0")/guest.sh"

truncate -s 128M "$tmp/disk"
start_far() {
    start_server --format=raw "$tmp/disk"
    ln -sf "$sock" "$tmp/far"
    far_pid=$server_pid
}
start_far
serve --image-opts "driver=raw,file.driver=nbd,file.path=$tmp/far,file.reconnect-delay=100"
near_log=$server_log
near_pid=$server_pid
host_kill() {
    kill -KILL "$far_pid"
    wait "$far_pid" || true
}
host_start() {
    start_far
}
host_connected() {
    grep -c 'connected again' "$near_log" || true
}

run_guest -e port="$port" <<'END'
attach "$port" -C 4
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
for times in 1 2 3; do
    step "the far server is killed and started again: $times"
    rm -rf /mnt/files
    mkdir /mnt/files
    write_files /mnt/files &
    writers=$!
    host kill
    host start
    wait $writers || fail "the writers"
    files_are_right /mnt/files
done
[ "$(host connected)" -gt 0 ] || fail "no request has waited for the far server"
umount /mnt
detach
no_io_error
END

# The near one first: at its end it flushes, for which it waits for the far one.
for pid in "$near_pid" "$far_pid"; do
    kill -TERM "$pid"
    wait "$pid"
done
e2fsck -fn "$tmp/disk"
