#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# FUA and FLUSH from the wire down to the lowest driver, as the log of blkdebug has them.
source "$(dirname "$0")/common.sh"
requires qemu-io

# logs CACHE OPTION WANT QEMU-IO-COMMAND: WANT is what it makes of the image.
logs() {
    local got

    truncate -s 1M "$tmp/disk"
    start_server --cache="$1" --discard=unmap --image-opts \
        "driver=blkdebug,image.driver=file,image.filename=$tmp/disk,log=$tmp/log,$2"
    : >"$tmp/log"
    qemu-io -t writeback -d unmap -f raw "$uri" -c "$4" >"$tmp/out" 2>&1 ||
        { cat "$tmp/out"; fail "$4"; }
    # what qemu-io did by itself when it closed is a flush after all the others
    got=$(grep '^>' "$tmp/log" | grep -v -e getlength -e block-status -e ' read ' |
        cut -d ' ' -f 3-6 | paste -s -d ';')
    stop_server || fail "the server ended with status $?"
    [[ $got == "$3"* ]] || fail "$1, $2, $4: '$got', not '$3'"
}

flush='flush-to-os 0 0 -;flush-to-disk 0 0 -'
logs writeback native-fua=off 'write 4096 4096 -;flush' 'write 4k 4k'
logs writeback native-fua=off "write 4096 4096 -;$flush" 'write -f 4k 4k'
logs writeback native-fua=on 'write 4096 4096 fua;flush' 'write -f 4k 4k'
logs writeback native-fua=on 'write-zeroes 0 65536 fua,unmap' 'write -z -u -f 0 64k'
logs writeback native-fua=off "write-zeroes 0 65536 -;$flush" 'write -z -f 0 64k'
logs writeback native-fua=off "$flush" flush
logs writeback native-fua=off 'discard 0 65536 -' 'discard 0 64k'
logs writethrough native-fua=on "write 4096 4096 -;$flush" 'write -f 4k 4k'
logs writethrough native-fua=off "write 4096 4096 -;$flush" 'write 4k 4k'
logs unsafe native-fua=off 'write 4096 4096 -;flush-to-os 0 0 -' 'write -f 4k 4k'
