#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An error of the medium is the answer to its request, with its own errno, and to no other one:
# the connection goes on.
source "$(dirname "$0")/common.sh"
requires qemu-io

# faulty RULE WANTED QEMU-IO-COMMAND...: the output of the commands has WANTED, once, and the
# last read succeeds.
faulty() {
    local rule=$1 want=$2 each args=() got

    shift 2
    for each; do
        args+=(-c "$each")
    done
    rm -f "$tmp/disk"
    truncate -s 1M "$tmp/disk"
    start_server --discard=unmap --image-opts \
        "driver=blkdebug,image.driver=file,image.filename=$tmp/disk,$rule"
    qemu-io -t none -d unmap -f raw "$uri" "${args[@]}" -c 'read -P 0 512k 4k' >"$tmp/out" 2>&1 ||
        true
    stop_server || fail "$rule: the server ended with status $?"
    got=$(grep -c "$want" "$tmp/out" || true)
    if [ "$got" != 1 ] || ! grep -q 'read 4096/4096 bytes at offset 524288' "$tmp/out"; then
        cat "$tmp/out"
        fail "$rule: '$want' $got times"
    fi
}

rule() {
    local each text=''

    for each; do
        text+="${text:+,}inject-error.0.$each"
    done
    echo "$text"
}

faulty "$(rule iotype=read sector=8)" 'read failed: Input/output error' \
    'read 0 4k' 'read 4k 4k'
faulty "$(rule iotype=write sector=8 errno=28)" 'write failed: No space left on device' \
    'write 0 4k' 'write 4k 4k' 'write 8k 4k'
faulty "$(rule iotype=write errno=1)" 'write failed: Operation not permitted' 'write 4k 4k'
faulty "$(rule iotype=write once=on)" 'write failed: Input/output error' 'write 0 4k' 'write 0 4k'
faulty "$(rule iotype=write-zeroes errno=28)" 'write failed: No space left on device' \
    'write -z 0 64k'
faulty "$(rule iotype=discard)" 'discard failed: Input/output error' 'discard 0 64k'
# A short write fails, and so does one whose read-modify-write cannot read.
faulty "$(rule iotype=write short=512 sector=8)" 'write failed: Input/output error' 'write 4k 4k'
faulty "align=4096,$(rule iotype=read sector=0 once=on)" 'write failed: Input/output error' \
    'write 512 512'
