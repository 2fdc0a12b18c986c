#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# FLUSH, FUA and --cache=writethrough flush the disk; --cache=unsafe does not.
# The disk is a loop device: the kernel counts the flushes that reach it.
source "$(dirname "$0")/common.sh"
requires losetup qemu-io
[ "$(id -u)" = 0 ] || skip "only root can make a loop device"

truncate -s 4M "$tmp/disk"
loop=$(losetup --find --show "$tmp/disk")
cleanup_fn losetup --detach "$loop"

flushes() {
    awk '{ print $16 }' "/sys/block/${loop#/dev/}/stat"
}

# flushed COUNT CACHE QEMU-IO-COMMAND...: at least COUNT flushes while it runs (with 0: none).
flushed() {
    local want=$1 cache=$2 each args=() before got

    shift 2
    for each; do
        args+=(-c "$each")
    done
    start_server --cache="$cache" --format=raw "$loop"
    before=$(flushes)
    qemu-io -f raw "$uri" "${args[@]}" >/dev/null
    got=$(($(flushes) - before))
    stop_server
    echo "$cache: $*: $got flushes"
    if [ "$want" = 0 ]; then
        [ "$got" = 0 ] || fail "$cache: $*: $got flushes"
    else
        [ "$got" -ge "$want" ] || fail "$cache: $*: $got flushes"
    fi
}

flushed 1 writeback 'write 0 4k' flush
flushed 3 writeback 'write -f 0 4k' 'write -f 4k 4k' 'write -f 8k 4k'
flushed 3 writethrough 'write 0 4k' 'write 4k 4k' 'write 8k 4k'
flushed 3 directsync 'write 0 4k' 'write 4k 4k' 'write 8k 4k'
flushed 0 unsafe 'write 0 4k' 'write -f 4k 4k'
