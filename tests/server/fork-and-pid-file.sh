#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --fork returns once the server listens; pid file and socket go with the server.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk"
"$NBD_EXPORT" --aio="$ENGINE" --fork --pid-file="$tmp/pid" --socket="$tmp/sock" --format=raw \
    "$tmp/disk"
server_pid=$(cat "$tmp/pid")
cleanup_fn end_process "$server_pid"
[ "$(nbdinfo --size "nbd+unix:///?socket=$tmp/sock")" = 1048576 ] || fail "it does not serve"
[ "$(readlink "/proc/$server_pid/fd/0")" = /dev/null ] || fail "stdin is not /dev/null"
[ "$(ps -o sid= -p "$server_pid" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ] ||
    fail "it is still in our session"
kill -TERM "$server_pid"
timeout 60 tail --pid="$server_pid" -f /dev/null || fail "it does not end"
[ ! -e "$tmp/pid" ] || fail "the pid file is still there"
[ ! -e "$tmp/sock" ] || fail "the socket is still there"
