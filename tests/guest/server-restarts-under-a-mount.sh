#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The server is killed under a mounted file system that several write to, and started again on the
# same port, three times.  The kernel sends again what was not answered: nobody sees an error, and
# nothing is lost.  With nbd-client 3.24 -persist it cannot be had: that one gives up when the
# connection is lost; so tests/guest/reconnect connects again.
source "$(dirname "$0")/guest.sh"

truncate -s 128M "$tmp/disk"
serve --format=raw "$tmp/disk"
cp "$abs_top_builddir/tests/guest/reconnect" "$guest_files/reconnect"
host_kill() {
    stop_server KILL || true
}
host_start() {
    start_server --bind=127.0.0.1 --port="$port" --format=raw "$tmp/disk"
}

run_guest -e port="$port" <<'END'
attach "$port"
/reconnect 0 100
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt

for times in 1 2 3; do
    step "the server is killed and started again: $times"
    rm -rf /mnt/files /tmp/written
    mkdir /mnt/files
    # Written to all along, so that there is something in flight.
    while [ ! -e /tmp/enough ]; do
        dd if=/dev/urandom of=/mnt/ground bs=64k count=16 conv=fsync 2>/dev/null || exit 1
        echo once >>/tmp/written
    done &
    grinder=$!
    until_true test -e /tmp/written
    host kill
    write_files /mnt/files &
    writers=$!
    until_true sh -c 'dmesg | grep -c "Receive control failed" | grep -qx '$times
    host start
    /reconnect 0 100 "$host" "$port"
    wait $writers || fail "the writers"
    touch /tmp/enough
    wait $grinder || fail "the writer under whom the server was killed"
    rm /tmp/enough
    files_are_right /mnt/files
done

umount /mnt
detach
no_io_error
END

stop_server
e2fsck -fn "$tmp/disk"
