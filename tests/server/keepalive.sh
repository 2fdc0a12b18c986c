#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# TCP connections find out by themselves that the client's machine is gone, unless --keepalive=0.
source "$(dirname "$0")/common.sh"
requires strace nbdinfo

truncate -s 1M "$tmp/disk"
# options ARG...: what is set on the socket of a client of such a server, in $tmp/strace
options() {
    local port

    port=$(free_port)
    start_server --bind=127.0.0.1 --port="$port" --format=raw "$@" "$tmp/disk"
    start_strace setsockopt
    nbdinfo --size "nbd://127.0.0.1:$port"
    stop_strace
    stop_server
}

options
for option in 'SO_KEEPALIVE, \[1\]' 'TCP_KEEPIDLE, \[15\]' 'TCP_KEEPINTVL, \[5\]' \
    'TCP_KEEPCNT, \[6\]' 'TCP_USER_TIMEOUT, \[45000\]'; do
    grep -q "$option" "$tmp/strace" || { cat "$tmp/strace"; fail "no $option"; }
done
options --keepalive=0
grep -q 'SO_KEEPALIVE, \[0\]' "$tmp/strace"
! grep -q 'TCP_KEEP\|TCP_USER' "$tmp/strace" || fail "keepalive although it is off"
