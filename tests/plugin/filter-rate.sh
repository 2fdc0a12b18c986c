#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under the rate filter no more bytes go either way than the rate allows in the time it took.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_rate() {
    run_nbdkit --filter=rate "${plugin[@]}" "$image" rate=64M burstiness=0.1
    python_nbd <<'END'
rate, burst, block = (64 << 20) / 8, 0.1, 1 << 18
start = time.monotonic()
for n in range(24):
    h.pwrite(b'x' * block, n * block)
    h.pread(block, n * block)
took = time.monotonic() - start
limit = rate * (took + burst) + 2 * block      # the last request goes before its debt is paid
print(24 * block, 'bytes each way; allowed', limit)
assert 24 * block <= limit
END
    stop_server || fail "status $?"
}
for_each_format under_rate
