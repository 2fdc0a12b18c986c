#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several exports of one server: each has its name, size, description and content.
source "$(dirname "$0")/common.sh"
requires nbdinfo qemu-io

args=()
for n in 1 2 3; do
    truncate -s ${n}M "$tmp/disk$n"
    args+=(--export "name=disk$n,image=$tmp/disk$n,format=raw,description=number $n")
done
truncate -s 512K "$tmp/ro"
start_server "${args[@]}" --export "name=ro,image=$tmp/ro,format=raw,read-only=on"
nbdinfo --is read-only "nbd+unix:///ro?socket=$sock" || fail "the last one is not read-only"
for n in 1 2 3; do
    each="nbd+unix:///disk$n?socket=$sock"
    [ "$(nbdinfo --size "$each")" = $((n << 20)) ] || fail "size of disk$n"
    nbdinfo "$each" | grep "description: number $n" >/dev/null || fail "description of disk$n"
    qemu-io -f raw "$each" -c "write -P $n 0 64k" >"$tmp/out"
    grep -q 'wrote 65536' "$tmp/out" || fail "writing disk$n"
done
for n in 1 2 3; do
    qemu-io -r -f raw "nbd+unix:///disk$n?socket=$sock" -c "read -P $n 0 64k" >"$tmp/out"
    if grep -qi fail "$tmp/out"; then
        fail "disk$n has another disk's data"
    fi
done
[ "$(nbdinfo --list "$uri" | grep -c '^export=')" = 4 ] || fail "--list"
if nbdinfo "nbd+unix:///nonesuch?socket=$sock" 2>"$tmp/err"; then
    fail "there is an export nonesuch"
fi
