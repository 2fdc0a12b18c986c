#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the cow filter clients see what they wrote, and the image stays as it was.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_cow() {
    on_disk "$1" 'write -P 1 0 1M'
    sha256sum "$image" >"$tmp/before"
    run_nbdkit --filter=cow "${plugin[@]}" "$image"
    guest 'write -P 2 64k 64k' 'discard 512k 64k' 'write -z 1M 64k' flush
    guest 'read -P 1 0 64k' 'read -P 2 64k 64k' 'read -P 1 128k 64k' 'read -P 0 1M 64k'
    stop_server || fail "status $?"
    sha256sum -c --quiet "$tmp/before"
}
for_each_format under_cow
