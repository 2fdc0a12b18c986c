#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The unix socket of a living server is left alone, and so is a file that is no socket.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk" "$tmp/disk2"
start_server --format=raw "$tmp/disk"
if timeout 60 "$NBD_EXPORT" --socket="$sock" --format=raw "$tmp/disk2" 2>"$tmp/err"; then
    fail "a second server has started"
fi
cat "$tmp/err"
grep -q "$sock" "$tmp/err" || fail "the message does not name the socket"
[ "$(nbdinfo --size "$uri")" = 1048576 ] || fail "the first server is gone"

echo precious >"$tmp/file"
if timeout 60 "$NBD_EXPORT" --socket="$tmp/file" --format=raw "$tmp/disk2" 2>"$tmp/err"; then
    fail "a file was taken for a socket"
fi
[ "$(cat "$tmp/file")" = precious ] || fail "the file was replaced"
