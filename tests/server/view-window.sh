#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --offset and --size show the part of an image that qemu-nbd shows, whatever its format; writes
# stay within it.

source "$(dirname "$0")/../functions.sh"
requires qemu-img qemu-io qemu-nbd nbdcopy nbdinfo

qemu-img create -q -f raw "$tmp/disk.raw" 8M
for i in 0 1 2 3 4 5 6 7; do
    qemu-io -f raw -c "write -q -P 1$i ${i}M 1M" "$tmp/disk.raw"
done
qemu-img convert -f raw -O qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"

# As qemu-nbd shows them.
qemu_pid=$tmp/qemu.pid
for fmt in raw qcow2; do
    qemu-nbd --fork --pid-file="$qemu_pid" -r -f $fmt -o $((3 << 20)) -k "$tmp/qemu" \
        "$tmp/disk.$fmt"
    nbdcopy "nbd+unix:///?socket=$tmp/qemu" "$tmp/theirs"
    start_server -r --format=$fmt -o 3M "$tmp/disk.$fmt"
    nbdcopy "$uri" "$tmp/ours"
    stop_server
    cmp "$tmp/theirs" "$tmp/ours" || fail "$fmt from 3M"
done

# A window in the middle, of two images at once, one of them named by its options.
opts="driver=qcow2,,file.driver=file,,file.filename=$tmp/disk.qcow2"
start_server --export name=a,image="$tmp/disk.raw",format=raw,offset=2M,size=1M \
    --export name=b,image-opts=on,offset=5M,size=1536k,image="$opts"
[ "$(nbdinfo --size "nbd+unix:///a?socket=$sock")" -eq $((1 << 20)) ] || fail "size of a"
[ "$(nbdinfo --size "nbd+unix:///b?socket=$sock")" -eq $((1536 << 10)) ] || fail "size of b"
qemu-io -f raw -c 'read -q -P 12 0 1M' -c 'write -q -P 42 0 1M' "nbd+unix:///a?socket=$sock"
qemu-io -f raw -c 'read -q -P 15 0 1M' -c 'read -q -P 16 1M 512k' -c 'write -q -P 43 1M 512k' \
    "nbd+unix:///b?socket=$sock"
stop_server
qemu-io -f raw -c 'read -P 11 1M 1M' -c 'read -P 42 2M 1M' -c 'read -P 13 3M 1M' "$tmp/disk.raw" \
    >"$tmp/out"
qemu-io -f qcow2 -c 'read -P 15 5M 1M' -c 'read -P 43 6M 512k' -c 'read -P 16 6656k 512k' \
    "$tmp/disk.qcow2" >>"$tmp/out"
if grep -i 'verification failed' "$tmp/out"; then
    fail "a write went astray"
fi

# refused MESSAGE ARG...
refused() {
    local message=$1
    shift
    if timeout 60 "$NBD_EXPORT" --socket="$tmp/no" --format=raw "$@" "$tmp/disk.raw" 2>"$tmp/err"
    then
        fail "accepted: $*"
    fi
    grep -qF -- "$message" "$tmp/err" || fail "no \"$message\" in: $(cat "$tmp/err")"
}
refused 'not a multiple of 512' --offset=1000
refused 'not a multiple of 512' --size=1000
refused 'Offset (9437184) cannot be greater' --offset=9M
refused 'smaller or equal to the actual size' --offset=4M --size=5M
