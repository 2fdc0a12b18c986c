#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --snapshot leaves the image as it is, for windows too; --load-snapshot shows an older state by
# name or ID, read-only, and says what there is if there is no such snapshot.

source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io nbdinfo

qemu-img create -q -f qcow2 "$tmp/disk" 4M
qemu-io -f qcow2 -c 'write -q -P 1 0 4M' "$tmp/disk"
qemu-img snapshot -c before "$tmp/disk"
qemu-io -f qcow2 -c 'write -q -P 2 0 2M' "$tmp/disk"
qemu-img snapshot -c 'a,b' "$tmp/disk"
qemu-io -f qcow2 -c 'write -q -P 3 0 1M' "$tmp/disk"
sum=$(sha256sum <"$tmp/disk")

# shows PATTERN OFFSET LENGTH: what the server that runs shows.
shows() {
    qemu-io -r -f raw -c "read -P $1 $2 $3" "$uri" >"$tmp/out"
    if grep 'verification failed' "$tmp/out"; then
        fail "no pattern $1 at $2 of server $server_count"
    fi
}

start_server --snapshot --format=qcow2 "$tmp/disk"
qemu-io -f raw -c 'write -q -P 9 512k 1M' -c flush "$uri"
shows 9 512k 1M
shows 3 0 512k
stop_server
[ "$sum" = "$(sha256sum <"$tmp/disk")" ] || fail "--snapshot changed the image"
for f in "$tmp"/blkbackend-*; do
    [ ! -e "$f" ] || fail "a temporary file is left: $f"
done

# Two servers of it at once: they only read it.  One of them shows but a part.
start_server -s --offset=1M --size=2M --format=qcow2 "$tmp/disk"
qemu-io -f raw -c 'write -q -P 8 0 512k' "$uri"
shows 8 0 512k
shows 2 512k 512k
shows 1 1M 1M
start_server -s --format=qcow2 "$tmp/disk"
shows 2 1M 1M
stop_server
[ "$sum" = "$(sha256sum <"$tmp/disk")" ] || fail "--snapshot with a window changed the image"

for name in before 1 snapshot.id=1 snapshot.name=before snapshot.id=1,snapshot.name=before; do
    start_server --load-snapshot=$name --format=qcow2 "$tmp/disk"
    shows 1 0 4M
    nbdinfo --is read-only "$uri" || fail "$name: not read-only"
    stop_server
done
start_server --export "name=,image=$tmp/disk,format=qcow2,load-snapshot=a,,b,offset=1M"
shows 2 0 1M
shows 1 1M 2M
stop_server
[ "$sum" = "$(sha256sum <"$tmp/disk")" ] || fail "--load-snapshot changed the image"

refused 'snapshot.id=2,snapshot.name=a,b' --format=qcow2 -l nonesuch "$tmp/disk"
refused 'should be NAME or' --format=qcow2 -l snapshot.title=x "$tmp/disk"
refused 'do not go together' --format=qcow2 -s -l 1 "$tmp/disk"
truncate -s 1M "$tmp/raw"
refused 'does not support internal snapshots' --format=raw -l 1 "$tmp/raw"
