#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A request that the delay filter holds up holds up no other one: the plugin is parallel.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_delay() {
    run_nbdkit --filter=delay "${plugin[@]}" "$image" delay-write=500ms
    python_nbd <<'END'
ended = []
def note(what):
    def done(error):
        assert error.value == 0 if hasattr(error, 'value') else error == 0
        ended.append(what)
        return 1
    return done
start = time.monotonic()
h.aio_pwrite(bytearray(b'x' * 4096), 0, note('write'))
h.aio_pread(nbd.Buffer(4096), 8192, note('read'))
while len(ended) < 2:
    h.poll(-1)
assert ended == ['read', 'write'], ended
assert time.monotonic() - start >= 0.5
assert h.pread(4096, 0) == b'x' * 4096
END
    stop_server || fail "status $?"
}
for_each_format under_delay
