#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What fails in the library fails for the client with the same errno, and nbdkit says why.
source "$(dirname "$0")/common.sh"

# fails RULE ERRNO TEXT PYTHON: TEXT is in nbdkit's messages.
fails() {
    truncate -s 1M "$tmp/disk"
    run_nbdkit "${plugin[@]}" image-opts="driver=blkdebug,image.driver=file,\
image.filename=$tmp/disk,inject-error.0.$1"
    CALL=$4 WANT=$2 python_nbd <<'END'
got = eval('error_of(' + os.environ['CALL'] + ')')
assert got == os.environ['WANT'], got
assert h.pread(512, 524288) == bytes(512)
END
    grep -qF "$3" "$server_log" || { cat "$server_log"; fail "$4: no '$3'"; }
    stop_server || fail "status $?"
}

fails 'iotype=read,inject-error.0.sector=8' EIO \
    'read of 512 bytes at 4096: Input/output error' 'h.pread, 512, 4096'
fails 'iotype=write,inject-error.0.errno=28' ENOSPC \
    'write of 4 bytes at 4096: No space left on device' 'h.pwrite, b"four", 4096'
fails 'iotype=write,inject-error.0.errno=1' EPERM \
    'write of 4 bytes at 0: Operation not permitted' 'h.pwrite, b"four", 0'
fails 'iotype=write,inject-error.0.errno=12' ENOMEM \
    'write of 4 bytes at 0: Cannot allocate memory' 'h.pwrite, b"four", 0'
fails 'iotype=flush' EIO 'flush: Input/output error' 'h.flush'
fails 'iotype=discard' EIO 'trim of 65536 bytes at 0: Input/output error' 'h.trim, 65536, 0'
fails 'iotype=write-zeroes,inject-error.0.errno=28' ENOSPC \
    'writing zeroes of 65536 bytes at 0: No space left on device' 'h.zero, 65536, 0'
fails 'iotype=read,inject-error.0.sector=8' EIO 'read of 65536 bytes at 0: Input/output error' \
    'h.cache, 65536, 0'
fails 'iotype=block-status' EIO 'block status of 65536 bytes at 0: Input/output error' \
    'extents, h, 65536, 0'
