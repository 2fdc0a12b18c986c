#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# convert --salvage replaces what cannot be read by zeroes, names it, and copies all the rest, as
# qemu-img does; without it a read error ends it with an error that says where.

source "$(dirname "$0")/img-side-by-side.sh"

"$PYTHON3" -c 'import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(1 << 20))' \
    >"$tmp/source"

broken() {
    echo "driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=$1" \
        "file.inject-error.0.event=read_aio,file.inject-error.0.sector=$2" | tr ' ' ,
}

salvage() {
    cp "$tmp/source" in
    t convert --salvage --image-opts "$(broken in 100)" out
    "$real" compare -f raw -F raw in out || true
    cmp -n 51200 in out
    cmp -i 51712 in out
    t convert --salvage -q --image-opts "$(broken in 2047)" -O qcow2 out2
    io -f qcow2 -c 'read -P 0 1048064 512' out2
}
side_by_side salvage
equal -f raw -F raw out
equal -f qcow2 -F qcow2 out2

no_salvage() {
    cp "$tmp/source" in
    t convert -m 1 --image-opts "$(broken in 100)" out
    t convert -m 1 --image-opts "$(broken in 100)" -O qcow2 out2
    t convert -m 1 -c --image-opts "$(broken in 10)" -O qcow2 out3
    ls
}
side_by_side no_salvage
