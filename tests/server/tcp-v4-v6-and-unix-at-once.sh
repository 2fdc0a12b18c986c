#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One server listens on IPv4, IPv6 and a unix socket at once.
source "$(dirname "$0")/common.sh"
requires nbdinfo

truncate -s 1M "$tmp/disk"
port=$(free_port)
binds=(--bind=127.0.0.1)
uris=("nbd://127.0.0.1:$port")
if grep -q . /proc/net/if_inet6 2>/dev/null; then
    binds+=(--bind=::1)
    uris+=("nbd://[::1]:$port")
fi
start_server "${binds[@]}" --port="$port" --format=raw "$tmp/disk"
for each in "$uri" "${uris[@]}"; do
    [ "$(nbdinfo --size "$each")" = 1048576 ] || fail "$each"
done
