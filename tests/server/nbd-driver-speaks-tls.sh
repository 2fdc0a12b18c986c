#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbds: with certificates and with a pre-shared key; wrong credentials and none are refused.
source "$(dirname "$0")/nbd-common.sh"
requires nbdkit qemu-nbd certtool psktool
nbdkit --dump-config | grep -q '^tls=yes' || skip "nbdkit was built without TLS"

# make_certificates FOLDER: an authority, and a server that it vouches for.
make_certificates() {
    mkdir "$1"
    certtool --generate-privkey --sec-param=medium --outfile="$1/ca-key.pem" 2>/dev/null
    printf '%s\n' 'cn = authority' ca cert_signing_key >"$1/ca.info"
    certtool --generate-self-signed --load-privkey="$1/ca-key.pem" --template="$1/ca.info" \
        --outfile="$1/ca-cert.pem" 2>/dev/null
    certtool --generate-privkey --sec-param=medium --outfile="$1/server-key.pem" 2>/dev/null
    printf '%s\n' 'cn = localhost' 'dns_name = localhost' 'ip_address = 127.0.0.1' tls_www_server \
        encryption_key signing_key >"$1/server.info"
    certtool --generate-certificate --load-ca-certificate="$1/ca-cert.pem" \
        --load-ca-privkey="$1/ca-key.pem" --load-privkey="$1/server-key.pem" \
        --template="$1/server.info" --outfile="$1/server-cert.pem" 2>/dev/null
}

# works URI, refused URI: opens it or does not.
works() {
    if ! "$BLK_IO" -f raw -c 'write -P 5 1M 1M' -c 'read -P 5 1M 1M' "$1" >"$tmp/out" 2>&1 ||
        grep -i 'failed\|error' "$tmp/out"; then
        cat "$tmp/out"
        fail "$1"
    fi
}
refused() {
    ! "$BLK_IMG" info "$1" >"$tmp/out" 2>&1 || fail "opened: $1"
    grep 'Failed to connect' "$tmp/out" >/dev/null || { cat "$tmp/out"; fail "message for $1"; }
}

make_certificates "$tmp/pki"
make_certificates "$tmp/others"
psktool -u alice -p "$tmp/keys.psk" >/dev/null 2>&1
psktool -u alice -p "$tmp/others.psk" >/dev/null 2>&1

port=$(free_port)
start_nbdkit --port="$port" --ipaddr=127.0.0.1 --tls=require --tls-certificates="$tmp/pki" memory 8M
works "nbds://localhost:$port/?tls-certificates=$tmp/pki"
refused "nbds://localhost:$port/?tls-certificates=$tmp/others"
works "nbds://localhost:$port/?tls-certificates=$tmp/others&tls-verify-peer=off"
refused "nbd://localhost:$port/"
works "json:{\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"inet\",
    \"host\":\"localhost\",\"port\":\"$port\"},\"tls\":true,\"tls-certs\":\"$tmp/pki\"}}"

far_nbdkit --tls=require --tls-psk="$tmp/keys.psk" memory 8M
works "nbds+unix://alice@/?socket=$tmp/far&tls-psk-file=$tmp/keys.psk"
refused "nbds+unix://alice@/?socket=$tmp/far&tls-psk-file=$tmp/others.psk"
stop_far

truncate -s 8M "$tmp/disk"
port=$(free_port)
qemu-nbd --fork --persistent --port="$port" --bind=127.0.0.1 --pid-file="$tmp/qemu.pid" \
    --object="tls-creds-x509,id=t,endpoint=server,verify-peer=no,dir=$tmp/pki" --tls-creds=t \
    -f raw "$tmp/disk"
cleanup_fn end_process "$(cat "$tmp/qemu.pid")"
works "nbds://localhost:$port/?tls-certificates=$tmp/pki"
refused "nbds://localhost:$port/?tls-certificates=$tmp/others"
