#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the cache filter what is written is seen at once, and reaches the image with a flush.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_cache() {
    run_nbdkit --filter=cache --filter=log "${plugin[@]}" "$image" logfile="$tmp/log"
    LOG=$tmp/log python_nbd <<'END'
h.pwrite(b'x' * 65536, 65536)
assert h.pread(65536, 65536) == b'x' * 65536
assert ' Write ' not in open(os.environ['LOG']).read(), 'written before the flush'
h.flush()
assert ' Write ' in open(os.environ['LOG']).read(), 'not written by the flush'
END
    stop_server || fail "status $?"
    on_disk "$1" 'read -P 120 64k 64k' 'read -P 0 0 64k'
}
for_each_format under_cache
