#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# TCP connections run with TCP_NODELAY, as proto.md asks.
source "$(dirname "$0")/common.sh"
requires strace nbdinfo

truncate -s 1M "$tmp/disk"
port=$(free_port)
start_server --bind=127.0.0.1 --port="$port" --format=raw "$tmp/disk"
start_strace setsockopt
nbdinfo --size "nbd://127.0.0.1:$port"
stop_strace
grep -q 'TCP_NODELAY, \[1\]' "$tmp/strace" || { cat "$tmp/strace"; fail "no TCP_NODELAY"; }
