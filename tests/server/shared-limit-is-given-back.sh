#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --shared=N: one more is refused, and a place is free again after kill -9 of a client.
source "$(dirname "$0")/common.sh"
requires qemu-io nbdinfo

truncate -s 1M "$tmp/disk"
start_server --shared=2 --format=raw "$tmp/disk"
for i in 1 2; do
    mkfifo "$tmp/in$i" "$tmp/out$i"
    qemu-io -f raw "$uri" <"$tmp/in$i" >"$tmp/out$i" 2>&1 &
    clients[i]=$!
    cleanup_fn end_process $!
done
exec 11>"$tmp/in1" 12>"$tmp/in2" 21<"$tmp/out1" 22<"$tmp/out2"
for i in 1 2; do                          # both are served
    echo "read 0 512" >&$((10 + i))
    grep -m 1 -q 'read 512/512' <&$((20 + i)) || fail "client $i"
done
if timeout 60 nbdinfo --size "$uri"; then
    fail "a third client was served"
fi
kill -KILL "${clients[1]}"
wait "${clients[1]}" || true
until nbdinfo --size "$uri" 2>/dev/null; do
    :
done
