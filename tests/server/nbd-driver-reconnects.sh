#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio verify through nbd-export on nbd-export on nbd-export, of which the last two are killed and
# started again for as long as it runs: it sees no error, and all data is there.
source "$(dirname "$0")/nbd-common.sh"
requires fio
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"

# start_behind SOCKET ARG...: sets behind_pid.  The kernel may keep the locks of a killed server
# that used io_uring for a moment after its end: then it is started again.
start_behind() {
    local ready socket=$1

    shift
    for _ in {1..100}; do
        # A new one: of the last, the server before may still hold the other end.
        rm -f "$socket" "$tmp/started"
        mkfifo "$tmp/started"
        "$NBD_EXPORT" --aio="$ENGINE" --socket="$socket" --ready-fd=3 "$@" \
            3>"$tmp/started" >>"$tmp/server-behind.log" 2>&1 </dev/null &
        behind_pid=$!
        if read -r ready <"$tmp/started" && [ "$ready" = READY ]; then
            return
        fi
        wait "$behind_pid" || true
        tail -n 5 "$tmp/server-behind.log" | grep -q '" lock' || break
    done
    fail "a server did not start again"
}
start_last() {
    start_behind "$tmp/last" --format=raw "$tmp/disk"
    last_pid=$behind_pid
}
on_socket() {
    echo "driver=raw,file.driver=nbd,file.path=$1,file.reconnect-delay=60"
}
start_middle() {
    start_behind "$tmp/middle" --image-opts "$(on_socket "$tmp/last")"
    middle_pid=$behind_pid
}

# A request to the front ends when it has its connection to the middle again.
wait_for_connection() {
    timeout 60 qemu-io -f raw -c 'read 0 512' "$uri" >"$tmp/read" || {
        cat "$tmp/read"
        fail "the connection did not come back"
    }
}

stop_behind() {
    end_process "$last_pid"
    end_process "$middle_pid"
}

truncate -s 64M "$tmp/disk"
start_last
start_middle
cleanup_fn stop_behind
start_server --image-opts "$(on_socket "$tmp/middle")"

cd "$tmp"
fio --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=4k-64k --iodepth=32 \
    --numjobs=4 --thread --size=8M --offset_increment=8M --fsync=64 --verify=crc32c \
    --verify_fatal=1 --do_verify=1 --randrepeat=0 --group_reporting --rate=6M >"$tmp/out" 2>&1 &
fio_pid=$!
server_pids+=("$fio_pid")
kills=0
while kill -0 "$fio_pid" 2>/dev/null && [ $kills -lt 40 ]; do
    { end_process "$last_pid" || true; } 2>/dev/null
    start_last
    { end_process "$middle_pid" || true; } 2>/dev/null
    start_middle
    wait_for_connection
    kills=$((kills + 2))
done
wait "$fio_pid" || { cat "$tmp/out"; fail "fio"; }
grep -q 'err= 0' "$tmp/out" || { cat "$tmp/out"; fail "fio counted errors"; }
echo "$kills servers killed"
[ $kills -ge 4 ] || fail "fio ended before the servers were killed"
