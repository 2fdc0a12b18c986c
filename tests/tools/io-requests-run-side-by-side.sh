#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: requests of aio_read and aio_write go on while further commands run.
source "$(dirname "$0")/common.sh"
requires qemu-io qemu-img

images() {
    truncate -s 16M raw
    qemu-img create -q -f qcow2 qcow2 16M
}

# A stopped request holds up no other; its report comes when it goes on.
mkdir "$tmp/debug" && cd "$tmp/debug"
images
"$abs_top_builddir/blk-io" -i "$ENGINE" \
    --image-opts driver=raw,file.driver=blkdebug,file.image.filename=raw \
    -c 'break write A' -c 'aio_write -P 1 0 512' -c 'wait_break A' -c 'write -P 2 512 512' \
    -c 'aio_read -P 2 512 512' -c 'read -P 0 0 512' -c 'resume A' -c aio_flush \
    -c 'read -P 1 0 512' -c 'break write B' -c 'aio_write 1k 512' -c 'wait_break B' \
    -c 'remove_break B' -c aio_flush -c 'resume B' 2>&1 >"$tmp/out" | tee "$tmp/err" || true
mask <"$tmp/out" | grep -v 'TIME$' | diff -u - <(
    echo "blkdebug: Suspended request 'A'"
    echo 'wrote 512/512 bytes at offset 512'
    echo 'read 512/512 bytes at offset 512'
    echo 'read 512/512 bytes at offset 0'
    echo "blkdebug: Resuming request 'A'"
    echo 'wrote 512/512 bytes at offset 0'
    echo 'read 512/512 bytes at offset 0'
    echo "blkdebug: Suspended request 'B'"
    echo "blkdebug: Resuming request 'B'"
    echo 'wrote 512/512 bytes at offset 1024'
    echo 'Could not resume request: No such file or directory')
[ ! -s "$tmp/err" ]

# Many in flight, on both programs.  They end in any order.
commands=()
for i in {0..63}; do
    commands+=(-c "aio_write -P $i ${i}0k 4k 3k 3k")
done
commands+=(-c aio_flush)
for i in {0..63}; do
    commands+=(-c "aio_read -P $i ${i}0k 10k")
done
commands+=(-c 'aio_read -P 1 0 1k' -c 'aio_write -z 8M 1M' -c 'aio_write -z -u 10M 1M'
    -c 'aio_write -q 12M 1M' -c 'aio_write -C 13M 5' -c 'aio_write -f 14M 5' -c 'aio_read 16M 1')
# shellcheck disable=SC2034 # for io_both
order="sort"
for format in raw qcow2; do
    io_both -f $format $format "${commands[@]}"
    same_content $format $format
    [ "$(grep -c '^Pattern verification failed' "$tmp/ours.out")" -eq 1 ]
done
