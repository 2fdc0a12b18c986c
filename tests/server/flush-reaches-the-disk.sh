#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# FLUSH, FUA and --cache=writethrough make the server sync the file; --cache=unsafe does not.
source "$(dirname "$0")/common.sh"
requires strace qemu-io
[ "$ENGINE" = threads ] || skip "io_uring syncs without a system call that can be watched"

# syncs COUNT CACHE QEMU-IO-COMMAND...: at least COUNT syncs happen (with 0: none).
syncs() {
    local want=$1 cache=$2 each args=() got

    shift 2
    for each; do
        args+=(-c "$each")
    done
    truncate -s 1M "$tmp/$cache"
    start_server --cache="$cache" --format=raw "$tmp/$cache"
    start_strace fdatasync,fsync,pwritev2
    qemu-io -f raw "$uri" "${args[@]}" >/dev/null
    stop_strace
    got=$(grep -c -e 'fdatasync(' -e 'fsync(' -e RWF_DSYNC -e RWF_SYNC "$tmp/strace" || true)
    stop_server
    echo "$cache: $*: $got syncs"
    if [ "$want" = 0 ]; then
        [ "$got" = 0 ] || fail "$cache: $*: $got syncs"
    else
        [ "$got" -ge "$want" ] || fail "$cache: $*: $got syncs"
    fi
}

syncs 1 writeback 'write 0 4k' flush
syncs 3 writeback 'write -f 0 4k' 'write -f 4k 4k' 'write -f 8k 4k'
syncs 3 writethrough 'write 0 4k' 'write 4k 4k' 'write 8k 4k'
syncs 0 unsafe 'write 0 4k' flush 'write -f 4k 4k'
