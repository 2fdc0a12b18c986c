#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A flush that fails is the answer to FLUSH, to a write with FUA, and without a write cache to
# every write; the server's own last flush fails too, and it says so with its exit status.
source "$(dirname "$0")/common.sh"
requires qemu-io

# fails CACHE COMMAND...: the last command fails, those before it do not.
fails() {
    local cache=$1 each args=() last status=0

    shift
    last=${!#}
    for each in "${@:1:$#-1}"; do
        args+=(-c "$each")
    done
    truncate -s 1M "$tmp/disk"
    start_server --cache="$cache" --image-opts "driver=blkdebug,image.driver=file,\
image.filename=$tmp/disk,inject-error.0.event=flush_to_disk"
    qemu-io -t unsafe -f raw "$uri" "${args[@]}" -c 'read 0 4k' >"$tmp/out" 2>&1 || status=$?
    if [ $status = 0 ]; then
        ! qemu-io -t writeback -f raw "$uri" "${args[@]}" -c "$last" >"$tmp/out" 2>&1 || status=1
    fi
    ! stop_server || fail "$cache: the server ended as if all had been written"
    [ $status = 0 ] || { cat "$tmp/out"; fail "$cache: $*"; }
}

fails writeback 'write 0 4k' flush
fails writeback 'write 0 4k' 'write -f 4k 4k'
fails writethrough 'read 0 4k' 'write 0 4k'
fails writethrough 'read 0 4k' 'write -z 0 4k'
