#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio with verify finds what it wrote, also through the cow and rate filters.
source "$(dirname "$0")/common.sh"
requires fio qemu-img
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"

# verify ARG...: on what the arguments make nbdkit serve.
verify() {
    run_nbdkit "$@"
    (cd "$tmp" && fio --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=4k-64k \
        --iodepth=16 --numjobs=2 --thread --size=8M --offset_increment=16M --verify=crc32c \
        --verify_fatal=1 --do_verify=1 --randrepeat=0 --group_reporting) >"$tmp/out" 2>&1 ||
        { cat "$tmp/out"; fail "fio"; }
    grep -q 'err= 0' "$tmp/out" || { cat "$tmp/out"; fail "fio counted errors"; }
    stop_server || fail "status $?"
}

under_fio() {
    verify "${plugin[@]}" "$image"
    verify --filter=cow --filter=rate "${plugin[@]}" "$image" rate=1G
}
for_each_format under_fio
qemu-img check -q "$image"
