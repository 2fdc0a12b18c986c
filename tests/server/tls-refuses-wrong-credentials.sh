#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who has no certificate, a wrong one or a wrong key is refused, and the log says why.
source "$(dirname "$0")/tls-common.sh"
requires nbdinfo certtool

make_certs "$tmp/pki"
make_certs "$tmp/others"
make_key "$tmp/keys.psk" alice
make_key "$tmp/wrong.psk" alice mallory

# client FOLDER TEMPLATE-LINE...: a client's certificate of our authority that says that.
client() {
    local dir=$tmp/$1

    shift
    mkdir "$dir"
    cp "$tmp/pki/ca-cert.pem" "$dir"
    printf '%s\n' 'cn = client' signing_key "$@" >"$tmp/template"
    certtool --generate-privkey --key-type=ecdsa --outfile "$dir/client-key.pem" 2>/dev/null
    certtool --generate-certificate --load-ca-certificate "$tmp/pki/ca-cert.pem" \
        --load-ca-privkey "$tmp/pki/ca-key.pem" --load-privkey "$dir/client-key.pem" \
        --template "$tmp/template" --outfile "$dir/client-cert.pem" 2>/dev/null
}
client expired tls_www_client 'activation_date = 2020-01-01 00:00:00' \
    'expiration_date = 2020-02-01 00:00:00'
client server-only tls_www_server
client revoked tls_www_client
client plain
printf 'crl_next_update = 3650\ncrl_number = 1\n' >"$tmp/template"
certtool --generate-crl --load-ca-certificate "$tmp/pki/ca-cert.pem" \
    --load-ca-privkey "$tmp/pki/ca-key.pem" --load-certificate "$tmp/revoked/client-cert.pem" \
    --template "$tmp/template" --outfile "$tmp/pki/ca-crl.pem" 2>/dev/null
mkdir "$tmp/none"
cp "$tmp/pki/ca-cert.pem" "$tmp/none"
# Theirs, but it trusts our server.
cp "$tmp/pki/ca-cert.pem" "$tmp/others"

truncate -s 1M "$tmp/disk"
start_server --tls-certs="$tmp/pki" --tls-verify-peer --tls-psk="$tmp/keys.psk" \
    --format=raw "$tmp/disk"
served "$(tls_uri "$tmp/pki")"
served "$(tls_uri "$tmp/plain")"
refused "nbd+unix:///?socket=$sock"
refused "$(tls_uri "$tmp/none")" 'no certificate'
refused "$(tls_uri "$tmp/others")" 'NOT trusted'
refused "$(tls_uri "$tmp/expired")" 'expired'
refused "$(tls_uri "$tmp/server-only")" 'purpose'
refused "$(tls_uri "$tmp/revoked")" 'revoked'
served "$(psk_uri "$tmp/keys.psk" alice)"
refused "$(psk_uri "$tmp/wrong.psk" alice)" 'wrong key for user "alice"'
refused "$(psk_uri "$tmp/wrong.psk" mallory)" 'no user "mallory"'
served "$(tls_uri "$tmp/pki")"
stop_server || fail "status $?"

# The other way round: a client that does not trust us.
port=$(free_port)
start_server --tls-certs="$tmp/pki" --bind=127.0.0.1 --port="$port" --format=raw "$tmp/disk"
served "nbds://localhost:$port/?tls-certificates=$tmp/none"
make_certs "$tmp/strangers"
refused "nbds://localhost:$port/?tls-certificates=$tmp/strangers" 'us in the TLS handshake'
stop_server || fail "status $?"
