#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: open, close and reopen do and say what qemu-io's do.
source "$(dirname "$0")/common.sh"
requires qemu-io qemu-img

images() {
    truncate -s 1M raw
    qemu-img create -q -f qcow2 qcow2 2M
    chmod 444 qcow2
}

io_both -c 'open -o driver=raw raw' -c length -c 'open raw' -c close -c close -c 'open raw' -c c \
    -c 'open -r -o driver=qcow2 qcow2' -c length -c 'write 0 1' -c close -c 'o -r qcow2' -c l
io_both -c 'open -o file.driver=file,file.filename=raw' -c length -c close \
    -c 'open -o driver=raw -o file.filename=raw' -c length -c 'write -q -P 5 0 512' -c close \
    -c 'open -n -o driver=raw raw' -c 'read -P 5 0 512' -c 'write 1k 5' -c close \
    -c 'open -t unsafe -d ignore -o driver=raw raw' -c 'write 1k 5' -c flush -c close \
    -c 'open -C -o driver=raw raw' -c 'read 0 1'
io_both -c 'open' -c 'open -x' -c 'open a b' -c 'open nonexistent' -c 'open -t foo raw' \
    -c 'open -d foo raw' -c 'open -i foo raw' -c 'open -k -o driver=raw raw' \
    -c 'open -U -o driver=raw raw' -c 'open -U -o driver=raw,force-share=off raw' \
    -c 'open -o driver=foo raw' -c 'open -C -r -o driver=raw raw' -c 'open -o' \
    -c 'open -o foo=1,driver=raw raw' -c 'open -r -U -o driver=raw raw' -c length
io_both --image-opts -c 'open driver=raw,file.filename=raw' -c length -c close \
    -c 'open -o driver=raw raw' -c 'open raw'

io_both -f raw raw -c 'reopen' -c 'reopen -r' -c 'write 0 512' -c 'read 0 512' -c 'reopen -w' \
    -c 'write 0 512' -c 'reopen -c none' -c 'write 0 5' -c 'reopen -c writeback -r' -c 'write 0 1' \
    -c 'reopen -o cache.direct=on' -c 'read 0 5' -c 'reopen -w -o cache.no-flush=on' -c 'write 0 1'
io_both -f raw raw -c 'reopen -r -w' -c 'reopen x' -c 'reopen -x' -c 'reopen -c foo' \
    -c 'reopen -o read-only=on -r' -c 'reopen -c none -o cache.direct=on' -c 'reopen -o foo=on' \
    -c 'reopen -o read-only=x' -c 'reopen -o cache.direct=x' -c 'write 0 512'
io_both -r -f raw raw -c 'reopen -o read-only=on' -c 'write 0 1' -c 'read 0 1'

# An option makes no node read-only that is in use for writing; its name is chance.
for program in qemu-io "$tmp/bin/qemu-io"; do
    status=0
    "$program" -f raw "$tmp/ours/raw" -c 'reopen -o read-only=on' -c 'write -q 0 1' \
        >"$tmp/said" 2>&1 || status=$?
    [ $status -eq 1 ]
    sed -E "s/'#block[0-9]+'/NODE/" "$tmp/said"
done >"$tmp/out"
[ "$(sort -u "$tmp/out")" = "qemu-io: Read-only block node NODE cannot support read-write users" ]
echo "$compared command lines"
