#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --fork: an error at the start is an exit status of the command, no pid file is left.
source "$(dirname "$0")/common.sh"
status=0
"$NBD_EXPORT" --fork --pid-file="$tmp/pid" --socket="$tmp/sock" --format=raw "$tmp/missing" \
    2>"$tmp/err" || status=$?
cat "$tmp/err"
[ $status -ne 0 ] || fail "status 0"
grep -q missing "$tmp/err" || fail "the message does not name the image"
[ ! -e "$tmp/pid" ] || fail "there is a pid file"
[ ! -e "$tmp/sock" ] || fail "there is a socket"
