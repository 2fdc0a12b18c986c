#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Without --fork too, pid file and unix socket are there while the server runs and gone afterwards.
source "$(dirname "$0")/common.sh"
truncate -s 1M "$tmp/disk"
for signal in TERM INT; do
    start_server --pid-file="$tmp/pid" --format=raw "$tmp/disk"
    [ "$(cat "$tmp/pid")" = "$server_pid" ] || fail "the pid file does not name it"
    [ -S "$sock" ] || fail "no socket"
    stop_server $signal || fail "SIG$signal: status $?"
    [ ! -e "$tmp/pid" ] || fail "SIG$signal: the pid file is still there"
    [ ! -e "$sock" ] || fail "SIG$signal: the socket is still there"
done
