#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is read-only cannot be written, and says so.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_r() {
    run_nbdkit -r "${plugin[@]}" "$image"
    nbdinfo --is readonly "$uri" || fail "-r"
    python_nbd <<'END'
h.set_strict_mode(0)
for call, args in ((h.pwrite, (b'x' * 512, 0)), (h.zero, (512, 0)), (h.trim, (512, 0))):
    assert error_of(call, *args) in ('EPERM', 'EROFS'), error_of(call, *args)
assert h.pread(512, 0) == bytes(512)
END
    # Others may read it meanwhile.
    qemu-img compare -f "$1" -F "$1" "$image" "$image"
    stop_server || fail "status $?"
}
for_each_format under_r

# Without the right to write there is still something to read.
make_image raw 1M
chmod 444 "$image"
if [ "$(id -u)" = 0 ]; then
    requires setpriv
    preload=(setpriv --bounding-set=-dac_override "${preload[@]}")
fi
run_nbdkit "${plugin[@]}" "$image" format=raw
nbdinfo --is readonly "$uri" || fail "a file that cannot be written"
stop_server || fail "status $?"
