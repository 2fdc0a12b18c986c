#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The limits of throttle.*= hold for all connections together.
source "$(dirname "$0")/common.sh"
requires qemu-img

# transferred LIMIT RATE PYTHON: the n that it counts is at most RATE a second.
transferred() {
    run_nbdkit "${plugin[@]}" "$image" "$1=$2"
    RATE=$2 PYTHON=$3 python_nbd <<'END'
rate, size = float(os.environ['RATE']), 65536
handles = [h, connect()]
start = time.monotonic()
count = 0
for n in range(40):
    for each in handles:
        count += eval(os.environ['PYTHON'])
took = time.monotonic() - start
# 100 ms' worth may go at once; and the last request goes before its debt is paid.
limit = rate * (took + 0.1) + (size if rate > 100000 else 1)
print(count, 'in', took, 's; allowed', limit)
assert count <= limit
END
    stop_server || fail "status $?"
}

throttled() {
    transferred throttle.bps-total 10000000 'each.pwrite(bytes(size), n * size) or size'
    transferred throttle.bps-read 10000000 'len(each.pread(size, n * size))'
    transferred throttle.iops-write 100 'each.pwrite(bytes(512), n * 512) or 1'
    transferred throttle.iops-total 100 'each.pread(512, n * 512) and 1'
}
for_each_format throttled

# Two images of one group share its limit.
mkdir "$tmp/dir"
truncate -s 1M "$tmp/dir/a" "$tmp/dir/b"
run_nbdkit "${plugin[@]}" dir="$tmp/dir" throttle.group=both throttle.iops-total=100 format=raw
SOCK=$sock /usr/bin/python3 <<'END'
import nbd, os, time
handles = []
for name in 'a', 'b':
    h = nbd.NBD()
    h.set_export_name(name)
    h.connect_unix(os.environ['SOCK'])
    handles.append(h)
start = time.monotonic()
for n in range(40):
    for h in handles:
        h.pread(512, 0)
took = time.monotonic() - start
assert 80 <= 100 * (took + 0.1) + 2, took
END
stop_server || fail "status $?"
