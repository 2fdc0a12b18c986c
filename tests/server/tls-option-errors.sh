#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is wrong with certificates and keys is said at the start, with the file and how to mend it.
source "$(dirname "$0")/tls-common.sh"
requires nbdinfo

make_certs "$tmp/pki"
make_certs "$tmp/others"
truncate -s 1M "$tmp/disk"

# wrong PATTERN ARG...: nbd-export does not start, and says so.
wrong() {
    local pattern=$1

    shift
    if "$NBD_EXPORT" --socket="$tmp/unused" --format=raw "$@" >"$tmp/out" 2>&1; then
        fail "started: $*"
    fi
    grep "$pattern" "$tmp/out" >/dev/null || { cat "$tmp/out"; fail "$*: does not say: $pattern"; }
}

wrong 'make-certs' --tls=require "$tmp/disk"
wrong 'should be off, on or require' --tls=maybe "$tmp/disk"
wrong 'pki-none/server-cert.pem.*No such file' --tls-certs="$tmp/pki-none" "$tmp/disk"
wrong 'make-certs' --tls-certs="$tmp/pki-none" "$tmp/disk"
wrong 'tls-cert-file' --tls-key-file="$tmp/pki/server-key.pem" "$tmp/disk"
wrong 'does not belong to' --tls-certs="$tmp/pki" --tls-key-file="$tmp/others/server-key.pem" \
    "$tmp/disk"
wrong "certificate \"$tmp/disk\"" --tls-certs="$tmp/pki" --tls-cert-file="$tmp/disk" "$tmp/disk"
wrong "key \"$tmp/pki/ca-cert.pem\"" --tls-certs="$tmp/pki" \
    --tls-key-file="$tmp/pki/ca-cert.pem" "$tmp/disk"
wrong 'authority.*No such file' --tls-certs="$tmp/pki" --tls-verify-peer \
    --tls-ca-file="$tmp/nothing" "$tmp/disk"
wrong 'tls-ca-file' --tls-cert-file="$tmp/pki/server-cert.pem" \
    --tls-key-file="$tmp/pki/server-key.pem" --tls-verify-peer "$tmp/disk"
wrong 'for clients with TLS' --export="image=$tmp/disk,tls=require"
wrong 'not a file' --tls-psk="$tmp" "$tmp/disk"
: >"$tmp/keys.psk"
chmod 600 "$tmp/keys.psk"
wrong 'no user' --tls-psk="$tmp/keys.psk" "$tmp/disk"
printf 'alice:00\n\nbob:0g\n' >"$tmp/keys.psk"
wrong 'line 3 should be USER:KEY' --tls-psk="$tmp/keys.psk" "$tmp/disk"
echo nothing >"$tmp/pki/ca-crl.pem"
wrong 'revocation list' --tls-certs="$tmp/pki" --tls-verify-peer "$tmp/disk"
rm "$tmp/pki/ca-crl.pem"

# Certificates given and no more said: nobody does without TLS; files of any name will do.
mv "$tmp/pki/server-cert.pem" "$tmp/fullchain.pem"
mv "$tmp/pki/server-key.pem" "$tmp/privkey.pem"
chmod 644 "$tmp/privkey.pem"
start_server --tls-cert-file="$tmp/fullchain.pem" --tls-key-file="$tmp/privkey.pem" \
    --format=raw "$tmp/disk"
grep 'privkey.pem.*0644.*chmod 600' "$server_log" >/dev/null || fail "no warning: the key is open"
served "$(tls_uri "$tmp/pki")"
refused "nbd+unix:///?socket=$sock"
stop_server || fail "status $?"

start_server --tls=on --tls-cert-file="$tmp/fullchain.pem" --tls-key-file="$tmp/privkey.pem" \
    --format=raw "$tmp/disk"
served "nbd+unix:///?socket=$sock"
stop_server || fail "status $?"
start_server --tls=off --tls-certs="$tmp/pki-none" --format=raw "$tmp/disk"
served "nbd+unix:///?socket=$sock"
