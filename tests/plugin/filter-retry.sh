#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the retry filter a request that fails is made again after the image was opened again, also
# where it cannot be opened for a while.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

under_retry() {
    on_disk "$1" 'write -P 1 0 1M'
    run_nbdkit -v --filter=retry --filter=error "${plugin[@]}" "$image" \
        retry-delay=1 retry-exponential=no retries=100 \
        error-file="$tmp/inject" error-pread-rate=100% error-pwrite-rate=100%
    mkfifo "$tmp/connected" "$tmp/go"
    CONNECTED=$tmp/connected GO=$tmp/go python_nbd <<'END' &
h.pwrite(b'x' * 512, 0)
open(os.environ['CONNECTED'], 'w').close()
open(os.environ['GO']).close()
assert h.pread(65536, 65536) == b'\1' * 65536
h.pwrite(b'y' * 4096, 4096)
h.flush()
assert h.pread(512, 0) == b'x' * 512
END
    client=$!
    cat "$tmp/connected"
    touch "$tmp/inject"
    mv "$image" "$tmp/away"
    : >"$tmp/go"
    # The read has failed, and so has opening the image again, as the plugin says.
    grep -q -m 1 "Could not open.*No such file" <(tail -c +1 -f --pid="$server_pid" "$server_log")
    rm "$tmp/inject"
    mv "$tmp/away" "$image"
    wait "$client" || fail "the client"
    stop_server || fail "status $?"
    [ "$(grep -c 'debug: blkbackend: open returned handle 0x' "$server_log")" -ge 2 ] ||
        fail "it was not opened again"
    on_disk "$1" 'read -P 120 0 512' 'read -P 121 4k 4k' 'read -P 1 8k 1000k'
    rm "$tmp/connected" "$tmp/go"
}
for_each_format under_retry
