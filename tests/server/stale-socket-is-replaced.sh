#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The unix socket that a killed server left behind is replaced.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk"
start_server --socket="$tmp/shared" --format=raw "$tmp/disk"
stop_server KILL || true
[ -S "$tmp/shared" ] || fail "the killed server has removed its socket"
truncate -s 2M "$tmp/disk2"
start_server --socket="$tmp/shared" --format=raw "$tmp/disk2"
[ "$(nbdinfo --size "nbd+unix:///?socket=$tmp/shared")" = 2097152 ] || fail "the new server"
