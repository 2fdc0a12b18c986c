#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Zero writes deallocate where they may, do not where they may not, and fail where they would not
# be fast.
source "$(dirname "$0")/common.sh"

truncate -s 1M "$tmp/disk"
run_nbdkit "${plugin[@]}" "$tmp/disk" format=raw
DISK=$tmp/disk python_nbd <<'END'
def blocks():
    return os.stat(os.environ['DISK']).st_blocks
assert h.can_zero() and h.can_fast_zero() and h.can_trim()
h.pwrite(b'x' * (1 << 20), 0)
full = blocks()
assert full >= 2048
h.zero(1 << 20, 0, nbd.CMD_FLAG_NO_HOLE)
assert blocks() >= 2048, blocks()
assert h.pread(1 << 20, 0) == bytes(1 << 20)
h.pwrite(b'x' * (1 << 20), 0)
h.zero(1 << 20, 0)
assert blocks() == 0, blocks()
assert h.pread(1 << 20, 0) == bytes(1 << 20)
END
stop_server || fail "status $?"

# An image that cannot: a zero write is a write of zeroes, and no fast one.
run_nbdkit "${plugin[@]}" image-opts="driver=blkdebug,image.driver=file,\
image.filename=$tmp/disk,inject-error.0.iotype=write-zeroes,inject-error.0.errno=95"
python_nbd <<'END'
h.pwrite(b'x' * 65536, 0)
got = error_of(h.zero, 65536, 0, nbd.CMD_FLAG_FAST_ZERO)
assert got in ('EOPNOTSUPP', 'ENOTSUP'), got
assert h.pread(65536, 0) == b'x' * 65536
h.zero(65536, 0)
assert h.pread(65536, 0) == bytes(65536)
END
if grep -q error: "$server_log"; then
    cat "$server_log"
    fail "the answer that was asked for is reported as an error"
fi
stop_server || fail "status $?"
