#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A second nbd-export on an image being written is refused; two read-only ones share it.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk"
start_server --format=raw "$tmp/disk"
if timeout 60 "$NBD_EXPORT" --socket="$tmp/s" --format=raw "$tmp/disk" 2>"$tmp/err"; then
    fail "two writers"
fi
grep -qi lock "$tmp/err" || { cat "$tmp/err"; fail "the message does not speak of a lock"; }
stop_server
start_server --read-only --format=raw "$tmp/disk"
start_server --read-only --format=raw "$tmp/disk"
[ "$(nbdinfo --size "$uri")" = 1048576 ] || fail "the second reader"
