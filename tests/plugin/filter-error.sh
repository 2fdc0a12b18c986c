#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Errors of the error filter reach the client as they are; what it lets pass does not fail.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_error() {
    local error

    for error in ENOSPC EIO EPERM; do
        run_nbdkit --filter=error "${plugin[@]}" "$image" error="$error" error-pwrite-rate=100% \
            error-zero-rate=100%
        ERROR=$error python_nbd <<'END'
want = os.environ['ERROR']
assert error_of(h.pwrite, b'x' * 512, 0) == want
assert error_of(h.zero, 65536, 0) == want
assert h.pread(65536, 0) == bytes(65536)
h.trim(65536, 0)
h.flush()
END
        stop_server || fail "status $?"
    done
}
for_each_format under_error
