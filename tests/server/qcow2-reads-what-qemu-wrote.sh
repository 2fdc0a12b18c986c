#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every kind of qcow2 image that qemu-img makes is read as qemu-img reads it.
source "$(dirname "$0")/qcow2-common.sh"

# Writes, zeroes, discards; whole clusters, parts, and across their edges.
# fill IMAGE FORMAT
fill() {
    qemu-io -f "$2" -d unmap -c 'write -P 1 0 300k' -c 'write -P 2 1000k 5k' \
        -c 'write -P 3 1234567 7777' -c 'write -P 4 2M 2M' -c 'write -z 2500k 128k' \
        -c 'discard 3M 256k' -c 'write -z -u 3500k 64k' -c 'write -P 5 7M 1k' \
        -c 'write -P 6 8387584 1k' "$1" >/dev/null
}

# same: the export reads as qemu-img reads the image.
same() {
    start_server --read-only --format=qcow2 "$1"
    qemu-img compare -q -f raw -F qcow2 "$uri" "$1" || fail "$2: compare"
    qemu-img convert -f qcow2 -O raw "$1" "$tmp/want"
    qemu-img convert -f raw -O raw "$uri" "$tmp/have"
    cmp "$tmp/want" "$tmp/have" || fail "$2: content"
    stop_server || fail "$2: the server"
}

while read -r kind; do
    rm -f "$tmp/image" "$tmp/data"
    qemu-img create -q -f qcow2 -o "$kind" "$tmp/image" 8M
    same "$tmp/image" "$kind, empty"
    fill "$tmp/image" qcow2
    same "$tmp/image" "$kind"
    case $kind in
        data_file=* | *refcount_bits=1) continue ;;
    esac
    qemu-img snapshot -c one "$tmp/image"
    qemu-io -c 'write -P 9 100k 70k' -c 'write -P 8 4M 1M' "$tmp/image" >/dev/null
    same "$tmp/image" "$kind, with a snapshot"
done < <(qcow2_kinds)

for type in zlib zstd; do
    for size in 512 4k 64k 2M; do
        rm -f "$tmp/image" "$tmp/raw"
        truncate -s 8M "$tmp/raw"
        fill "$tmp/raw" raw
        "${PYTHON3:-python3}" -c '
import sys
sys.stdout.buffer.write(b"".join(b"%d of the lines in here\n" % i for i in range(50000)))' |
            dd of="$tmp/raw" bs=64k seek=64 conv=notrunc status=none
        qemu-img convert -c -f raw -O qcow2 -o compression_type=$type,cluster_size=$size \
            "$tmp/raw" "$tmp/image"
        same "$tmp/image" "$type, clusters of $size"
        cmp "$tmp/raw" "$tmp/have"
    done
done
