#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A qcow2 with two backing files, the lowest raw or qcow2, served with 4 threads to qemu-io, nbdcopy
# and fio with 4 connections: all three images show through, and the backing files stay as they are.
source "$(dirname "$0")/qcow2-common.sh"
requires fio nbdcopy
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"
cd "$tmp"

# patterns FORMAT FILE COMMAND...
patterns() {
    local format=$1 file=$2 commands=() c
    shift 2
    for c; do
        commands+=(-c "$c")
    done
    qemu-io -f "$format" "${commands[@]}" "$file" >"$tmp/out" || { cat "$tmp/out"; fail "$file"; }
    ! grep -i 'verification failed' "$tmp/out" || fail "$file"
}

for format in raw qcow2; do
    rm -f base middle top copy
    # The top is longer than the middle, the middle than the base.
    qemu-img create -q -f "$format" base 40M
    patterns "$format" base 'write -P 1 0 40M'
    qemu-img create -q -f qcow2 -b base -F "$format" middle 56M
    patterns qcow2 middle 'write -P 2 8M 8M' 'write -P 2 50M 5M' 'write -z 20M 1M'
    qemu-img create -q -f qcow2 -o cluster_size=16k -b middle -F qcow2 top 64M
    patterns qcow2 top 'write -P 3 12M 8M'
    qemu-img convert -O raw top expected
    cp base base.before
    cp middle middle.before

    start_server --threads=4 --discard=unmap --format=qcow2 top
    nbdcopy --connections=4 "$uri" copy
    cmp expected copy || fail "nbdcopy reads a chain on $format"
    shows=('read -P 1 0 8M' 'read -P 2 8M 4M' 'read -P 3 12M 8M' 'read -P 0 20M 1M'
        'read -P 1 21M 19M' 'read -P 0 40M 10M' 'read -P 2 50M 5M' 'read -P 0 55M 9M')
    patterns raw "$uri" "${shows[@]}" 'write -P 4 7M 4M' 'write -P 5 63000k 100k' \
        'write -z 30M 3M' 'read -P 4 7M 4M' 'read -P 1 6M 1M' 'read -P 0 30M 3M' flush
    fio --name=verify --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=1k-64k --iodepth=16 \
        --numjobs=4 --thread --offset=32M --size=6M --offset_increment=7M --verify=crc32c \
        --verify_fatal=1 --do_verify=1 --group_reporting >out 2>&1 || { cat out; fail "fio"; }
    grep -q 'err= 0' out || { cat out; fail "fio counted errors"; }
    nbdcopy --connections=4 "$uri" copy
    stop_server || fail "the server"

    for image in top middle; do
        qcow2_is_clean $image
    done
    qemu-img compare -f qcow2 -F raw top copy || fail "after all that, on $format"
    # Between what the connections wrote, and where only the guest's own writes are.
    patterns qcow2 top 'read -P 1 0 7M' 'read -P 4 7M 4M' 'read -P 2 11M 1M' 'read -P 3 12M 8M' \
        'read -P 1 21M 9M' 'read -P 0 30M 2M' 'read -P 1 38M 1M' 'read -P 0 45M 1M' \
        'read -P 5 63000k 100k'
    cmp base base.before || fail "the base was changed"
    cmp middle middle.before || fail "the middle was changed"

    # And onto a copy through the server: what nbdcopy writes on 4 connections.
    start_server --threads=4 --format=qcow2 top
    nbdcopy --connections=4 expected "$uri"
    stop_server || fail "the server"
    qcow2_is_clean top
    qemu-img compare -f qcow2 -F raw top expected || fail "nbdcopy writes on $format"
done
