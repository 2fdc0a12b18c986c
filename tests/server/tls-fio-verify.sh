#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio over TLS: randrw with verify, queue depth 32 on 4 connections, without an error.
source "$(dirname "$0")/tls-common.sh"
requires fio nbdkit
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"
nbdkit --dump-plugin nbd 2>/dev/null | grep -q 'libnbd_tls=1' || skip "nbdkit's client has no TLS"

make_certs "$tmp/pki"
make_key "$tmp/keys.psk" alice
truncate -s 16M "$tmp/disk"
start_server --tls-certs="$tmp/pki" --tls-psk="$tmp/keys.psk" --format=raw "$tmp/disk"
cd "$tmp"
# fio itself is given no file of keys: nbdkit speaks TLS for it.
# shellcheck disable=SC2016 # nbdkit's variable
nbdkit -U - nbd socket="$sock" tls=require tls-username=alice tls-psk="$tmp/keys.psk" --run 'fio \
    --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=4k-64k --iodepth=32 \
    --numjobs=4 --thread --size=4M --offset_increment=4M --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --randrepeat=0 --group_reporting' >"$tmp/out" 2>&1 ||
    { cat "$tmp/out"; fail "fio"; }
grep -q 'err= 0' "$tmp/out" || fail "fio counted errors"
