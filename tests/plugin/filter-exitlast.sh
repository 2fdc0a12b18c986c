#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With the exitlast filter nbdkit ends after its last client, and the image is closed.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_exitlast() {
    run_nbdkit --filter=exitlast "${plugin[@]}" "$image"
    python_nbd <<'END'
other = connect()
other.pwrite(b'x' * 4096, 0)
other.shutdown()
h.pwrite(b'y' * 4096, 4096)
h.shutdown()
END
    wait "$server_pid" || fail "status $?"
    on_disk "$1" 'read -P 120 0 4k' 'read -P 121 4k 4k'
}
for_each_format under_exitlast
