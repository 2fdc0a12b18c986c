#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Data, zeroes, discards, flushes, maps, copies, and qcow2 images on exports of four servers.
source "$(dirname "$0")/nbd-common.sh"
requires nbdkit qemu-nbd nbd-server qemu-img qemu-io

# The same extents as nbdinfo sees.
check_map() {
    if nbdinfo "$far_uri" | grep base:allocation >/dev/null; then
        nbdinfo --map "$far_uri" | awk '{ print $1, $2, $3 }' >"$tmp/want"
    else
        echo "0 $((32 << 20)) 0" >"$tmp/want"
    fi
    "$BLK_IMG" map --output=json -f raw "$far_uri" |
        sed -n -e 's/.*"start": \([0-9]*\), "length": \([0-9]*\)/\1 \2/' \
            -e 's/,.*"zero": \([a-z]*\), "data": \([a-z]*\).*/ \1 \2/p' |
        sed 's/false true$/0/; s/true true$/2/; s/true false$/3/' >"$tmp/got"
    diff -u "$tmp/want" "$tmp/got" || fail "$1: the maps differ"
}

check_requests() {
    "$BLK_IO" -f raw -t writeback -d unmap -c 'write -P 1 0 8M' -c 'write -P 2 1234567 77777' \
        -c 'write -f -P 3 4M 64k' -c 'write -z 5M 512k' -c 'write -z -u 6M 512k' \
        -c 'write -z -f 6656k 4k' -c 'discard 7M 512k' -c 'writev -P 4 9M 4k 12k 512' -c flush \
        "$far_uri" >"$tmp/out" || { cat "$tmp/out"; fail "$1: writing"; }
    "$BLK_IO" -r -f raw -c 'read -P 1 0 1234567' -c 'read -P 2 1234567 77777' \
        -c 'read -P 1 1312344 512' -c 'read -P 3 4M 64k' -c 'read -P 0 5M 512k' \
        -c 'read -P 0 6M 512k' -c 'read -P 0 6656k 4k' -c 'readv -P 4 9M 512 4k 12k' \
        -c 'read -P 1 7680k 512k' "$far_uri" >"$tmp/out" || { cat "$tmp/out"; fail "$1: reading"; }
    ! grep -i 'failed\|error' "$tmp/out" || fail "$1: other data"
}

# check_server NAME: an export of 32 MiB that starts as zeroes.
check_server() {
    "$BLK_IMG" info "$far_uri" | grep 'virtual size: 32 MiB' >/dev/null || fail "$1: info"
    check_requests "$1"
    check_map "$1"
    "$BLK_IMG" convert -f qcow2 -O raw "$tmp/from.qcow2" "$far_uri" || fail "$1: convert"
    "$BLK_IMG" compare -f qcow2 -F raw "$tmp/from.qcow2" "$far_uri" || fail "$1: compare"
    qemu-img compare -f qcow2 -F raw "$tmp/from.qcow2" "$far_uri" || fail "$1: not for qemu-img"
    "$BLK_IMG" create -q -f qcow2 "$far_uri" 64M || fail "$1: create qcow2"
    "$BLK_IO" -f qcow2 -c 'write -P 6 63M 1M' -c 'read -P 6 63M 1M' "$far_uri" >"$tmp/out"
    qemu-io -r -f qcow2 -c 'read -P 6 63M 1M' "$far_uri" >"$tmp/out" || fail "$1: qcow2"
    ! grep -i 'failed\|error' "$tmp/out" || fail "$1: qcow2 has other data"
    qemu-img check -q -f qcow2 "$far_uri" || fail "$1: check"
    "$BLK_IO" -f qcow2 -c 'write -P 6 0 40M' "$far_uri" >"$tmp/out" 2>&1 || true
    grep 'No space left' "$tmp/out" >/dev/null ||
        { cat "$tmp/out"; fail "$1: qcow2 grew beyond the export"; }
    ! "$BLK_IMG" create -q -f raw "$far_uri" 33M 2>"$tmp/out" || fail "$1: too large"
    grep 'an NBD export cannot grow' "$tmp/out" >/dev/null || fail "$1: $(cat "$tmp/out")"
}

qemu-img create -q -f qcow2 "$tmp/from.qcow2" 32M
qemu-io -c 'write -P 9 3M 5M' -c 'write -P 8 20M 1k' "$tmp/from.qcow2" >/dev/null

far_nbdkit memory 32M
check_server nbdkit
stop_far

truncate -s 32M "$tmp/disk1" "$tmp/disk2" "$tmp/disk3"
far_qemu_nbd -f raw --discard=unmap "$tmp/disk1"
check_server qemu-nbd
stop_far

far_nbd_export "$tmp/disk2"
check_server nbd-export
stop_server

far_nbd_server "$tmp/disk3"
check_server nbd-server
stop_far
