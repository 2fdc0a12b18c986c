#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: each wrong command is told in qemu-io's words.
source "$(dirname "$0")/common.sh"
requires qemu-io

images() {
    truncate -s 1M raw
}
options=(-f raw raw)

# Together: a wrong command does not keep the next from running.
io_both "${options[@]}" -c foo -c 'read' -c 'read 0' -c 'read 0 1 2' -c 'read x 1' -c 'read 0 y' \
    -c 'read -x 0 1' -c 'read -P' -c 'read -P 256 0 1' -c 'read -P -1 0 1' -c 'read -P x 0 1' \
    -c 'read -s 1k 0 512' -c 'read -s 1k -P 1 0 512' -c 'read -l 1k -P 1 0 512' \
    -c 'read -P 0 -l 5 -s 6 0 10' -c 'read -l x 0 1' -c 'read -s x 0 1' -c 'read 0 3G' \
    -c 'read -b 5 512' -c 'read -b 0 5' -c 'read -- -1 5' -c 'read 1M 1' -c 'read 7E 1' -c length
io_both "${options[@]}" -c 'write -s /nonexistent 0 512' -c 'write -s /dev/null 0 512' \
    -c 'write -n 0 512' -c 'write -u 0 1' -c 'write -z -P 1 0 512' -c 'write -bz 0 512' \
    -c 'write -f -c 0 512' -c 'write -fb 0 512' -c 'write -s f -P 1 0 1' -c 'write -c 5 512' \
    -c 'write -c 0 5' -c 'write -c 0 512' -c 'write -b 0 512' -c 'read -b 0 512' -c 'write 1M 1' \
    -c 'write -z 1M 1' -c 'write -s' -c 'write 0 3G' -c 'write -z 7E 1' \
    -c 'write -zn 0 3G' -c 'write -zn 0 64k' -c 'write -z 0 3G'
io_both "${options[@]}" -c 'readv 0' -c 'readv x 1' -c 'readv 0 x' -c 'readv 0 2G 1' \
    -c 'readv 0 1G 1G' -c 'readv -P 300 0 1' -c 'readv 1M 5 6' -c 'writev 0' -c 'writev 0 5 x' \
    -c 'writev 0 3G' -c 'writev 1M 5' -c 'writev -z 0 1' -c 'discard 1' -c 'discard -x 1 1' \
    -c 'discard x 0' -c 'discard 0 x' -c 'discard 0 3G' -c 'discard 2M 512' -c 'discard 7E 1'
io_both "${options[@]}" -c 'aio_read 0' -c 'aio_read x 1' -c 'aio_read 0 x' -c 'aio_read 0 3G' \
    -c 'aio_read -P 300 0 1' -c 'aio_read -x 0 1' -c 'aio_read -i 0 1' -c 'aio_read -i' \
    -c 'aio_write 0' -c 'aio_write -z 0 1 2' -c 'aio_write -u 0 1' -c 'aio_write -z 0 x' \
    -c 'aio_write -z x 0' -c 'aio_write -i 0 1' -c 'aio_write -P 1 x 1' \
    -c 'aio_write 1M 1' -c aio_flush -c 'aio_write -z 0 3G' -c aio_flush -c 'aio_read 1M 1' \
    -c 'aio_flush' -c 'aio_flush 1'
io_both "${options[@]}" -c 'truncate' -c 'truncate x' -c 'truncate 8E' -c 'truncate -x 1' \
    -c 'truncate -m foo 1M' -c 'sigraise' -c 'sigraise x' \
    -c 'sigraise 100' -c 'sleep' -c 'sleep x' -c 'sleep -1' -c 'sleep 1' -c 'help foo' \
    -c 'help a b' -c 'alloc' -c 'alloc x' -c 'alloc 0 x' -c 'alloc 0 1 2' -c 'map x' -c 'info x' \
    -c 'flush 1' -c 'length x' -c 'break a' -c 'break a b' -c 'resume' -c 'resume x' \
    -c 'remove_break x' -c 'wait_break' -c 'close x' -c '' -c '   '

# Each alone: the status is 1 whichever it is.
io_both_each 'nothing' 'read 0' 'read -Z 0 1' 'write x 1' 'aio_write 0' 'length x' 'truncate x' \
    'reopen -q' 'open' 'close x' 'help foo' 'sleep x' 'sigraise x' 'read -P 1 0 1' 'read 1M 1' \
    'alloc x' 'map x' 'discard 0' 'break a b' 'aio_read 1M 1' 'sigraise 9' 'sigraise 0' 'abort'

# Read-only, and without an image.
options=(-r "${options[@]}")
io_both_each 'write 0 512' 'writev 0 512' 'aio_write 0 512' 'truncate 1k' 'discard 0 512' \
    'write -z 0 1' 'write 0' 'flush' 'read -q 0 1'
options=()
io_both_each 'read 0 1' 'aio_flush' 'info' 'close' 'map' 'reopen' 'sleep 0' 'quit' 'foo'
echo "$compared command lines"
