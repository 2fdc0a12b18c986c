#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The log filter shows every request, with what the plugin answered.
source "$(dirname "$0")/common.sh"
requires qemu-img

under_log() {
    run_nbdkit --filter=log "${plugin[@]}" "$image" logfile="$tmp/log"
    python_nbd <<'END'
h.pwrite(b'x' * 4096, 8192, nbd.CMD_FLAG_FUA)
h.pread(512, 8192)
h.trim(65536, 65536)
h.zero(65536, 65536, nbd.CMD_FLAG_NO_HOLE)
h.flush()
h.cache(4096, 0)
extents(h, 65536, 0)
h.shutdown()
END
    stop_server || fail "status $?"
    cat "$tmp/log"
    grep -qE 'Connect export="" .*size=0x4000000 .*write=1 flush=1 .*trim=1 zero=2 fua=2' "$tmp/log"
    grep -qE 'Write id=[0-9]+ offset=0x2000 count=0x1000 fua=1' "$tmp/log"
    grep -qE 'Read id=[0-9]+ offset=0x2000 count=0x200' "$tmp/log"
    grep -qE 'Trim id=[0-9]+ offset=0x10000 count=0x10000' "$tmp/log"
    grep -qE 'Zero id=[0-9]+ offset=0x10000 count=0x10000 trim=0' "$tmp/log"
    grep -qE 'Cache id=[0-9]+ offset=0x0 count=0x1000' "$tmp/log"
    grep -qE '\.\.\.Extents id=[0-9]+ extents=.* return=0' "$tmp/log"
    grep -qE '\.\.\.Flush id=[0-9]+ return=0' "$tmp/log"
    [ "$(grep -c 'return=0' "$tmp/log")" -ge 7 ] || fail "a request failed"
}
for_each_format under_log
