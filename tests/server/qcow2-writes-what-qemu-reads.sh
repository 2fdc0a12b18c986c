#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every kind of qcow2 image that qemu-img makes is written so that qemu-img finds nothing to
# complain about, and the same content as in a raw shadow.
source "$(dirname "$0")/qcow2-common.sh"

# What is done to the export and to the shadow: whole clusters, parts, across edges, over zeroes,
# over discarded and compressed clusters.
writes=(
    -c 'write -P 1 0 300k' -c 'write -P 2 1000k 5k' -c 'write -P 3 1234567 7777'
    -c 'write -P 4 2M 2M' -c 'write -z 2500k 128k' -c 'write -z -u 3500k 64k'
    -c 'write -P 5 2530k 3k' -c 'write -z 1001k 1k' -c 'write -P 6 3510k 1k' -c 'flush'
    -c 'write -z -u 2M 1M' -c 'write -P 7 2200k 500k' -c 'write -P 8 7M 1k'
    -c 'write -P 9 8387584 1k' -c 'write -z -u 0 8M' -c 'write -P 10 12345 100k'
    -c 'write -P 11 4M 2M' -c 'write -z -u 5M 512k' -c 'write -z 6M 64k' -c 'write -P 12 6M 2k'
    -c 'write -f -P 13 100k 100k'
)

change() {
    qemu-io -f "$1" "${writes[@]}" "$2" >"$tmp/out" || { cat "$tmp/out"; fail "qemu-io on $2"; }
}

# same KIND: image and shadow agree, seen through the server and by qemu-img.
check() {
    start_server --discard=unmap --format=qcow2 "$tmp/image"
    change raw "$uri"
    qemu-img compare -q -f raw -F raw "$uri" "$tmp/raw" || fail "$1: compare"
    stop_server || fail "$1: the server"
    qcow2_is_clean "$tmp/image"
    qemu-img compare -q -f qcow2 -F raw "$tmp/image" "$tmp/raw" || fail "$1: compare as image"
}

truncate -s 8M "$tmp/raw"
change raw "$tmp/raw"
while read -r kind; do
    rm -f "$tmp/image" "$tmp/data"
    qemu-img create -q -f qcow2 -o "$kind" "$tmp/image" 8M
    check "$kind"
    check "$kind, again"
    case $kind in
        data_file=* | *refcount_bits=1) continue ;;
    esac
    qemu-img snapshot -c one "$tmp/image"
    check "$kind, with a snapshot"
    qemu-img snapshot -a one "$tmp/image"
    qcow2_is_clean "$tmp/image"
    qemu-img compare -q -f qcow2 -F raw "$tmp/image" "$tmp/raw" || fail "$kind: the snapshot"
done < <(qcow2_kinds)

for type in zlib zstd; do
    rm -f "$tmp/image"
    qemu-img convert -c -f raw -O qcow2 -o compression_type=$type "$tmp/raw" "$tmp/image"
    check "compressed with $type"
done
