#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Real clients over TLS, with certificates of their own: libnbd, QEMU, nbd-client, nbdkit.
source "$(dirname "$0")/tls-common.sh"
requires nbdinfo qemu-img nbd-client nbdkit

make_certs "$tmp/pki"
mkdir "$tmp/psk"
make_key "$tmp/psk/keys.psk" alice bob
truncate -s 1M "$tmp/disk"
port=$(free_port)
start_server --tls-certs="$tmp/pki" --tls-verify-peer --tls-psk="$tmp/psk/keys.psk" -v \
    --bind=127.0.0.1 --port="$port" --format=raw --export-name=shelf "$tmp/disk"

served "nbds://localhost:$port/shelf?tls-certificates=$tmp/pki"
served "nbds://127.0.0.1:$port/shelf?tls-certificates=$tmp/pki"
served "$(tls_uri "$tmp/pki")"
served "$(psk_uri "$tmp/psk/keys.psk" bob)"
logged 'certificate of client'
logged 'key of user bob'

qemu-img info --object "tls-creds-x509,id=tls,endpoint=client,dir=$tmp/pki" --image-opts \
    "driver=nbd,host=localhost,port=$port,export=shelf,tls-creds=tls" | grep '1 MiB' >/dev/null
qemu-img info --object "tls-creds-psk,id=tls,endpoint=client,dir=$tmp/psk,username=alice" \
    --image-opts "driver=nbd,host=localhost,port=$port,export=shelf,tls-creds=tls" |
    grep '1 MiB' >/dev/null

timeout 60 nbd-client -l localhost "$port" -cacertfile "$tmp/pki/ca-cert.pem" \
    -certfile "$tmp/pki/client-cert.pem" -keyfile "$tmp/pki/client-key.pem" \
    -tlshostname localhost >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail "nbd-client"; }
grep -qx shelf "$tmp/out" || fail "nbd-client does not list the export"

nbdkit --dump-plugin nbd 2>/dev/null | grep -q 'libnbd_tls=1' || skip "nbdkit's client has no TLS"
# shellcheck disable=SC2016 # nbdkit's variable
nbdkit -U - nbd hostname=localhost port="$port" export=shelf tls=require \
    tls-certificates="$tmp/pki" --run 'nbdinfo --size "$uri"' | grep -x 1048576 >/dev/null
