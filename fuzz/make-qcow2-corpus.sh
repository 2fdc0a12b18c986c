#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make-qcow2-corpus.sh FOLDER: writes the seeds of fuzz-qcow2: small images of every kind that
# qemu-img makes, each with a few operations behind it.  Inputs that once found something are in
# the same folder, named found-*, and stay.

set -e -u -o pipefail

export LC_ALL=C
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

io() {
    local file=$1 command args=()

    shift
    for command; do
        args+=(-c "$command")
    done
    qemu-io -f qcow2 "${args[@]}" "$file" >/dev/null
}

# seed NAME FLAGS OPERATION...: image.qcow2 becomes a seed.  An operation is four bytes, as \xHH.
seed() {
    local name=$1 flags=$2 op
    shift 2

    # Behind the end of a file are zeroes anyway.
    sed '$ s/\x00*$//' image.qcow2 >"$folder/$name"
    for op; do
        printf '%b' "$op" >>"$folder/$name"
    done
    printf '%b' "\\x$(printf %02x $#)$flags" >>"$folder/$name"
}

# Operations, as fuzz-qcow2.c numbers them: number, offset in sectors (low byte first), length.
all=('\x00\x00\x00\x40' '\x01\x03\x00\x01' '\x41\x10\x00\x03' '\x02\x08\x00\x00' '\x03\x10\x00\x00'
    '\x04\x18\x00\x00' '\x05\x00\x00\x20' '\x06\x00\x00\x00' '\x09\x00\x00\x00' '\x0c\x20\x00\x03'
    '\x0c\x22\x00\x07' '\x0d\x00\x00\x00' '\x07\x01\x00\x03' '\x07\x00\x00\x02' '\x0a\x11\x00\x03'
    '\x0b\x11\x00\x03' '\x00\x00\x00\x60')
few=('\x00\x00\x00\x40' '\x05\x00\x00\x20' '\x01\x03\x00\x01' '\x04\x08\x00\x00' '\x06\x00\x00\x00')

upkeep=('\x10\x00\x00\x00' '\x1c\x00\x00\x00' '\x11\x01\x11\x00' '\x01\x03\x00\x01'
    '\x11\x02\x22\x00' '\x18\x00\x02\x05' '\x01\x10\x00\x01' '\x1a\x01\x10\x00' '\x1b\x00\x01\x00'
    '\x12\x00\x00\x00' '\x13\x00\x00\x01' '\x19\x00\x00\x00' '\x1e\x01\x00\x03' '\x1d\x00\x02\x00'
    '\x20\x00\x00\x00' '\x10\x03\x00\x00' '\x00\x00\x00\x40')
amendments=('\x16\x02\x00\x00' '\x01\x03\x00\x01' '\x16\x07\x06\x00' '\x16\x07\x01\x00'
    '\x16\x06\x14\x00' '\x16\x03\x00\x00' '\x17\x01\x01\x00' '\x17\x00\x00\x00' '\x16\x07\x04\x00'
    '\x16\x00\x00\x00' '\x16\x01\x00\x00' '\x15\x00\x00\x00' '\x1f\x00\x00\x00' '\x10\x03\x00\x00'
    '\x20\x00\x00\x00' '\x00\x00\x00\x40')
repair=('\x10\x00\x00\x00' '\x10\x01\x00\x00' '\x10\x03\x00\x00' '\x01\x03\x00\x01'
    '\x14\x00\x00\x00' '\x12\x00\x00\x00' '\x13\x00\x00\x00' '\x19\x00\x00\x00' '\x10\x03\x00\x00'
    '\x20\x00\x00\x00' '\x00\x00\x00\x40')

# number OFFSET BYTES: the number there in image.qcow2.
number() {
    echo $((16#$(od -An -v -tx1 -j "$1" -N "$2" image.qcow2 | tr -d ' \n')))
}

# damage OFFSET HEX...: overwrites bytes of image.qcow2.
damage() {
    local offset=$1

    shift
    printf '%b' "$(printf '\\x%s' "$@")" |
        dd of=image.qcow2 bs=1 seek="$offset" conv=notrunc status=none
}

# make OPTIONS SIZE [COMMAND...]: image.qcow2, changed by commands of qemu-io.
make() {
    local options=$1 size=$2

    shift 2
    rm -f image.qcow2
    qemu-img create -q -f qcow2 -o "$options" image.qcow2 "$size"
    [ $# -eq 0 ] || io image.qcow2 "$@"
}

make compat=0.10,cluster_size=512 64k 'write -P 1 1k 3k' 'write -P 2 40k 512'
seed v2 '\x40' "${all[@]}"
make compat=1.1,cluster_size=512 64k 'write -P 1 1k 3k' 'write -z 2k 1k' 'write -zu 40k 1k'
seed v3 '\x48' "${all[@]}"
seed small-caches '\x4c' "${all[@]}"
seed write-through '\x18' "${few[@]}"
make compat=1.1,cluster_size=4k 256k 'write -P 1 1k 3k' 'write -z 4k 4k'
seed clusters-of-4k '\x08' "${few[@]}"
for bits in 1 2 4 8 32 64; do
    make cluster_size=512,refcount_bits=$bits 32k 'write -P 1 0 4k'
    seed refcount-bits-$bits '\x00' "${few[@]}"
done
make cluster_size=16k,extended_l2=on 256k 'write -P 1 512 1k' 'write -z 4k 4k' 'write -z 32k 1k'
seed subclusters '\x48' "${all[@]}"
for type in zlib zstd; do
    make cluster_size=1k,compression_type=$type 64k 'write -c -P 1 0 1k' 'write -c -P 2 1k 1k' \
        'write -P 3 2k 1k' 'write -c -P 4 4k 1k'
    seed compressed-$type '\x00' "${all[@]}"
done
make cluster_size=512 32k 'write -P 1 0 4k'
qemu-img snapshot -c one image.qcow2
io image.qcow2 'write -P 2 1k 2k'
qemu-img snapshot -c two image.qcow2
seed snapshots '\x00' "${few[@]}"
make cluster_size=1k 128k
qemu-img bitmap --add -g 4k image.qcow2 one
io image.qcow2 'write -P 2 8k 2k'
seed bitmaps '\x00' "${few[@]}"
make cluster_size=512,lazy_refcounts=on 32k
qemu-io -f qcow2 -c 'write -P 1 0 2k' -c 'sigraise 9' image.qcow2 &>/dev/null || true
seed dirty '\x00' "${few[@]}"
make cluster_size=512 32k 'write -P 1 0 2k'
printf '\x02' | dd of=image.qcow2 bs=1 seek=79 conv=notrunc status=none
seed corrupt '\x01' "${few[@]}"
seed corrupt-for-writing '\x00' "${few[@]}"
truncate -s 64k base.raw
make cluster_size=512,backing_file=base.raw,backing_fmt=raw 32k 'write -P 1 1k 512'
seed backing '\x48' "${all[@]}"
seed backing-copy-on-read '\x68' "${few[@]}"
seed backing-left-out '\x02' "${few[@]}"
make cluster_size=512,data_file=data.raw 32k 'write -P 1 1k 512'
seed data-file '\x08' "${few[@]}"
make cluster_size=512,data_file=data.raw,data_file_raw=on 32k 'write -P 1 1k 512'
seed data-file-raw '\x08' "${few[@]}"
make cluster_size=512,preallocation=metadata 32k
seed preallocated '\x00' "${all[@]}"

make cluster_size=512 64k 'write -P 1 1k 3k' 'write -z 8k 1k'
seed upkeep '\x00' "${upkeep[@]}"
seed options '\x00' "${amendments[@]}"
make cluster_size=16k,extended_l2=on 256k 'write -P 1 512 1k' 'write -z 4k 4k'
seed upkeep-subclusters '\x48' "${upkeep[@]}"
make compat=0.10,cluster_size=512 64k 'write -P 1 1k 3k'
seed upkeep-v2 '\x00' "${upkeep[@]}"
seed options-v2 '\x00' "${amendments[@]}"
make cluster_size=512,data_file=data.raw 32k 'write -P 1 1k 512'
seed upkeep-data-file '\x00' "${upkeep[@]}"
seed options-data-file '\x00' "${amendments[@]}"
make cluster_size=512,backing_file=base.raw,backing_fmt=raw 32k 'write -P 1 1k 512'
seed upkeep-backing '\x00' "${upkeep[@]}"

# What repairs are for.
make cluster_size=512 32k 'write -P 1 0 4k' 'write -c -P 2 8k 512'
damage $(($(number "$(number 48 8)" 8) + 4)) 00 00 00 05 00 00
seed repair-counts '\x00' "${repair[@]}"
damage "$(number 48 8)" 00 00 00 00 00 00 00 00
seed repair-no-counts '\x00' "${repair[@]}"
make cluster_size=512 32k 'write -P 1 0 4k'
damage "$(number $(($(number 40 8) + 2)) 6)" 80 00 00 00 00 00 02 00 00 00 00 00 00 00 13 37
seed repair-mapping '\x00' "${repair[@]}"
make cluster_size=512 32k 'write -P 1 0 4k'
qemu-img snapshot -c one image.qcow2
io image.qcow2 'write -P 2 1k 2k'
qemu-img snapshot -c two image.qcow2
damage "$(number 64 8)" 00 00 00 00 00 00 13 37
seed repair-snapshot '\x00' "${repair[@]}"
damage 60 00 00 ff ff
seed repair-snapshot-count '\x00' "${repair[@]}"
make cluster_size=1k 128k
qemu-img bitmap --add -g 4k image.qcow2 one
qemu-img bitmap --add -g 8k image.qcow2 two
io image.qcow2 'write -P 2 8k 2k'
seed upkeep-bitmaps '\x00' "${upkeep[@]}"
directory=$(number $(($(grep -abo $'\x23\x85\x28\x75' image.qcow2 | head -1 | cut -d: -f1) + 24)) 8)
damage "$((directory + 15))" 03
seed repair-bitmap-in-use '\x00' "${repair[@]}"
damage "$directory" 00 00 00 00 00 00 13 37
seed repair-bitmap '\x00' "${repair[@]}"
damage 88 00 00 00 00 00 00 00 00
seed repair-bitmaps-disowned '\x00' "${repair[@]}"
