#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The readahead filter has the plugin fetch what a sequential reader will want next.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_readahead() {
    on_disk "$1" 'write -P 1 0 16M'
    run_nbdkit --filter=readahead --filter=log "${plugin[@]}" "$image" logfile="$tmp/log"
    python_nbd <<'END'
for n in range(128):
    assert h.pread(65536, n * 65536) == b'\1' * 65536
END
    stop_server || fail "status $?"
    if grep -i warning "$server_log"; then
        fail "it does not work over this plugin"
    fi
    grep -q ' Cache id=' "$tmp/log" || { cat "$tmp/log"; fail "nothing was fetched ahead"; }
    if grep -E '\.\.\.(Cache|Read) ' "$tmp/log" | grep -v return=0; then
        fail "a request failed"
    fi
}
for_each_format under_readahead
