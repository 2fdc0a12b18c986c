#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio randrw with verify, queue depth 32 on 4 connections, without an error.
source "$(dirname "$0")/common.sh"
requires fio
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"

truncate -s 64M "$tmp/disk"
start_server --format=raw "$tmp/disk"
cd "$tmp"
fio --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=4k-64k \
    --iodepth=32 --numjobs=4 --thread --size=16M --offset_increment=16M --verify=crc32c \
    --verify_fatal=1 --do_verify=1 --randrepeat=0 --group_reporting >"$tmp/out" 2>&1 ||
    { cat "$tmp/out"; fail "fio"; }
cat "$tmp/out"
grep -q 'err= 0' "$tmp/out" || fail "fio counted errors"
