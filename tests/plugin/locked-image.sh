#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that another process writes to is refused, with the reason.
source "$(dirname "$0")/common.sh"
requires qemu-img

make_image qcow2 1M
start_server --format=qcow2 "$image"
refused 'lock' "$PLUGIN" "$image"
stop_server
run_nbdkit "${plugin[@]}" "$image"
python_nbd <<'END'
h.pwrite(b'x' * 512, 0)
END
stop_server || fail "status $?"
