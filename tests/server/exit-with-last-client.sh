#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --exit-with-last-client: the server ends when all that used an export have left; who only looks
# at the list is no client.

source "$(dirname "$0")/../functions.sh"
requires nbdinfo qemu-io

truncate -s 1M "$tmp/disk"
start_server --format=raw --exit-with-last-client "$tmp/disk"
"${PYTHON3:-python3}" - "$sock" <<'END'
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.recv(18)
    s.sendall(struct.pack('>IQII', 3, 0x49484156454F5054, 3, 0))
    s.recv(100)
END
kill -0 "$server_pid" || fail "it ended with who used no export"

# The second client comes while the first is there, and stays longer.
mkfifo "$tmp/go" "$tmp/there"
qemu-io -f raw "$uri" <"$tmp/go" >"$tmp/there" &
first=$!
exec 5>"$tmp/go" 6<"$tmp/there"
echo 'read 0 512' >&5
read -r -u 6 _
qemu-io -f raw -c 'write -P 7 0 64k' "$uri" >/dev/null
kill -0 "$server_pid" || fail "it ended before the last client"
echo 'quit' >&5
exec 5>&-
wait $first
status=0
wait "$server_pid" || status=$?
unset 'server_pids[0]'
[ $status -eq 0 ] || fail "status $status"
[ ! -e "$sock" ] || fail "the socket is still there"
