#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A convert whose target cannot be written, or not made stable, fails, says where, and leaves a
# target that was there.

source "$(dirname "$0")/img-side-by-side.sh"

head -c 3M /dev/urandom >"$tmp/source"

# on EVENT: a target that fails there.
on() {
    echo "driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=out" \
        "file.inject-error.0.event=$1,file.inject-error.0.errno=28" | tr ' ' ,
}

full() {
    cp "$tmp/source" in
    truncate -s 3M out
    t convert -m 1 -n -f raw --target-image-opts in "$(on write_aio)"
    ls
}
side_by_side full
grep -q 'error while writing at byte 0: No space left on device' "$tmp/ours.out"

cd "$tmp/ours"
if "$tmp/bin/qemu-img" convert -n -t writeback -f raw --target-image-opts in "$(on flush_to_disk)" \
    2>err; then
    fail "the flush failed and convert did not"
fi
grep -q 'error while flushing' err
