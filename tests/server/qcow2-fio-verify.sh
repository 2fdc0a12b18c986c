#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio verifies on 4 connections at once, queue depth 32, on images that have to grow; with trims
# in between.  What the connections write lies side by side in the same clusters.
source "$(dirname "$0")/qcow2-common.sh"
requires fio
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"

qemu-img create -q -f raw "$tmp/base" 64M
qemu-io -f raw -c 'write -P 7 0 64M' "$tmp/base" >/dev/null
cd "$tmp"
for kind in cluster_size=64k cluster_size=64k,extended_l2=on cluster_size=2M cluster_size=4k; do
    rm -f "$tmp/image"
    qemu-img create -q -f qcow2 -o "$kind" -b "$tmp/base" -F raw "$tmp/image"
    start_server --discard=unmap --threads=4 --format=qcow2 "$tmp/image"
    # A trim and the write behind it are one after the other only at depth 1.
    for rw in "randwrite 32" "randtrimwrite 1" "randrw 32"; do
        fio --name=verify --ioengine=nbd --uri="$uri" --rw="${rw% *}" --bsrange=2k-64k \
            --iodepth="${rw#* }" --numjobs=4 --thread --size=12M --offset_increment=14M \
            --verify=crc32c --verify_fatal=1 --do_verify=1 --randrepeat=0 --group_reporting \
            >"$tmp/out" 2>&1 ||
            { cat "$tmp/out"; fail "fio $rw on $kind"; }
        grep -q 'err= 0' "$tmp/out" || { cat "$tmp/out"; fail "fio counted errors"; }
    done
    stop_server || fail "the server"
    qcow2_is_clean "$tmp/image"
    # Nobody wrote there.
    qemu-io -f qcow2 -c 'read -P 7 12M 2M' -c 'read -P 7 54M 10M' "$tmp/image" >"$tmp/out"
    ! grep -i 'verification failed' "$tmp/out" || fail "$kind: between the connections"
done
