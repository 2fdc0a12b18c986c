#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A running QEMU tool and nbd-export refuse each other the same image; readers share it.
source "$(dirname "$0")/common.sh"
requires qemu-io nbdinfo

truncate -s 1M "$tmp/disk"

# An open qemu-io holds its lock.
mkfifo "$tmp/in" "$tmp/out"
qemu-io -f raw "$tmp/disk" <"$tmp/in" >"$tmp/out" 2>&1 &
client=$!
cleanup_fn end_process $client
exec 11>"$tmp/in" 12<"$tmp/out"
echo "read 0 512" >&11
grep -m 1 -q 'read 512/512' <&12 || fail "qemu-io"
if timeout 60 "$NBD_EXPORT" --aio="$ENGINE" --socket="$tmp/s" --format=raw "$tmp/disk" 2>"$tmp/err"
then
    fail "nbd-export took an image that qemu-io has open"
fi
cat "$tmp/err"
grep -qi lock "$tmp/err" || fail "the message does not speak of a lock"
exec 11>&-
wait $client || true

# And the other way round.
start_server --format=raw "$tmp/disk"
if qemu-io -f raw "$tmp/disk" -c 'read 0 512' >"$tmp/qemu" 2>&1; then
    fail "qemu-io took an image that nbd-export serves"
fi
grep -qi lock "$tmp/qemu" || { cat "$tmp/qemu"; fail "qemu-io says something else"; }
stop_server
qemu-io -f raw "$tmp/disk" -c 'write 0 512' >/dev/null || fail "the lock outlives the server"

start_server --read-only --format=raw "$tmp/disk"
qemu-io -r -f raw "$tmp/disk" -c 'read 0 512' >/dev/null || fail "readers refuse each other"
