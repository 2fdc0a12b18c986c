#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A socket that systemd has opened: nbdkit serves it, and opens the image when a client comes.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_activation() {
    sock=$tmp/$1.sock
    # shellcheck disable=SC2034 # for guest
    uri="nbd+unix:///?socket=$sock"
    server_log=$tmp/server$1.log
    mkfifo "$tmp/listens.$1"
    # As systemd does: the socket is descriptor 3, and the environment says so.
    "${PYTHON3:-/usr/bin/python3}" -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(8)
os.dup2(s.fileno(), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
open(sys.argv[2], "w").close()
os.execvp(sys.argv[3], sys.argv[3:])' \
        "$sock" "$tmp/listens.$1" "${preload[@]}" nbdkit "${plugin[@]}" "$image" \
        >"$server_log" 2>&1 3</dev/null &
    server_pid=$!
    server_pids+=("$server_pid")
    cat "$tmp/listens.$1"
    guest 'write -P 1 0 1M' 'read -P 1 0 1M' flush
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 1 0 1M'
}
for_each_format under_activation
