#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --partition shows what the table says, logical partitions and GPT too, raw or qcow2, readable and
# writable; and one that is not there is refused with the list of those that are.

source "$(dirname "$0")/common.sh"
requires sfdisk python3 qemu-img qemu-io nbdcopy

case $("$NBD_EXPORT" --partition=1 --format=raw "$0" 2>&1) in
    *"without libblkid"*) skip "built without libblkid" ;;
esac

# make NAME LABEL: 64 MiB with a table from stdin, raw and qcow2.
make() {
    truncate -s 64M "$tmp/$1.raw"
    sfdisk -q --label "$2" "$tmp/$1.raw"
    qemu-img convert -f raw -O qcow2 "$tmp/$1.raw" "$tmp/$1.qcow2"
}

# check NAME NUMBER START SIZE: in KiB; the partition reads as the image's bytes do there, and a
# write gets there and nowhere else.
check() {
    local name=$1 number=$2 start=$(($3 * 1024)) size=$(($4 * 1024)) fmt

    for fmt in raw qcow2; do
        start_server --format=$fmt --partition="$number" "$tmp/$name.$fmt"
        qemu-io -f raw -c "write -q -P $number 4k 8k" -c "write -q -P 99 $((size - 512)) 512" "$uri"
        nbdcopy "$uri" "$tmp/part"
        stop_server
        [ "$(stat -c %s "$tmp/part")" -eq $size ] || fail "$name $fmt $number: size"
        qemu-img convert -f $fmt -O raw "$tmp/$name.$fmt" "$tmp/whole"
        cmp -n $size -i $start:0 "$tmp/whole" "$tmp/part" || fail "$name $fmt $number: content"
    done
    qemu-io -f raw -c "write -q -P $number $((start + 4096)) 8k" \
        -c "write -q -P 99 $((start + size - 512)) 512" "$tmp/$name.raw"
    qemu-img compare -q -f raw -F qcow2 "$tmp/$name.raw" "$tmp/$name.qcow2" ||
        fail "$name $number: something else was written"
}

make mbr dos <<'END'
start=1MiB size=4MiB
start=5MiB size=3MiB
start=8MiB type=5 size=40MiB
start=48MiB size=16MiB
start=9MiB size=2MiB
start=12MiB size=1MiB
start=20MiB size=7MiB
END
check mbr 1 1024 4096
check mbr 4 49152 16384
check mbr 5 9216 2048
check mbr 7 20480 7168

make gpt gpt <<'END'
1: start=1MiB size=4MiB
9: start=5MiB size=50MiB
END
check gpt 9 5120 51200

# A disk with sectors of 4096 bytes: sfdisk makes those on devices only.
"${PYTHON3:-python3}" - "$tmp/gpt4k.raw" <<'END'
import struct, sys, zlib
SECTOR, SECTORS = 4096, 16384
entries = bytearray(128 * 128)
entries[128:256] = struct.pack('<16s16sQQQ72s', b'linux data type!', b'this partition!!', 512, 1279,
                               0, b'')
def header(me, other, table):
    head = struct.pack('<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, 0, 0, me, other, 6,
                       SECTORS - 6, b'this disk itself', table, 128, 128, zlib.crc32(entries))
    return head[:16] + struct.pack('<I', zlib.crc32(head)) + head[20:]
with open(sys.argv[1], 'wb') as f:
    f.write(bytes(446) + struct.pack('<BBHBBHII', 0, 0, 2, 0xee, 255, 0xffff, 1, SECTORS - 1)
            + bytes(48) + b'\x55\xaa')
    for sector, data in ((1, header(1, SECTORS - 1, 2)), (2, entries), (SECTORS - 5, entries),
                         (SECTORS - 1, header(SECTORS - 1, 1, SECTORS - 5))):
        f.seek(sector * SECTOR)
        f.write(data)
    f.truncate(SECTORS * SECTOR)
END
qemu-img convert -f raw -O qcow2 "$tmp/gpt4k.raw" "$tmp/gpt4k.qcow2"
check gpt4k 2 2048 3072

refused 'There is no partition 3' --format=raw --partition=3 "$tmp/gpt.raw"
refused 'There are: 1 (4M), 9 (50M).' --format=raw --partition=3 "$tmp/gpt.raw"
truncate -s 1M "$tmp/empty"
refused 'There is no partition table' --format=raw --partition=1 "$tmp/empty"
refused '--partition goes without --offset' --partition=1 --offset=1M "$tmp/gpt.raw"
