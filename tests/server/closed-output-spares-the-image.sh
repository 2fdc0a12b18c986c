#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Started with standard descriptors closed, the server prints into nothing, not into an image that
# has got their number.

source "$(dirname "$0")/../functions.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk" "$tmp/zeroes"
mkfifo "$tmp/ready"
"$NBD_EXPORT" --aio="$ENGINE" --format=raw --socket="$tmp/sock" -v --ready-fd=3 "$tmp/disk" \
    3>"$tmp/ready" <&- >&- 2>&- &
server_pid=$!
server_pids+=("$server_pid")
read -r _ <"$tmp/ready"
nbdinfo --size "nbd+unix:///?socket=$tmp/sock"
for fd in 0 1 2; do
    [ "$(readlink "/proc/$server_pid/fd/$fd")" = /dev/null ] || fail "descriptor $fd is in use"
done
stop_server
cmp "$tmp/disk" "$tmp/zeroes"
