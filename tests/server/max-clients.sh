#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --max-clients: one more waits, and is served as soon as a client was killed.
source "$(dirname "$0")/common.sh"
requires qemu-io nbdinfo

truncate -s 1M "$tmp/disk"
start_server --max-clients=1 --format=raw "$tmp/disk"
mkfifo "$tmp/in" "$tmp/out"
qemu-io -f raw "$uri" <"$tmp/in" >"$tmp/out" 2>&1 &
client=$!
cleanup_fn end_process "$client"
exec 11>"$tmp/in" 21<"$tmp/out"
echo "read 0 512" >&11
grep -m 1 -q 'read 512/512' <&21
nbdinfo --size "$uri" >"$tmp/size" &
waiting=$!
cleanup_fn end_process "$waiting"
until grep -q 'no further client is accepted' "$server_log"; do
    :
done
[ ! -s "$tmp/size" ] || fail "a second client was served"
kill -KILL "$client"
wait "$waiting"
[ "$(cat "$tmp/size")" = 1048576 ]
