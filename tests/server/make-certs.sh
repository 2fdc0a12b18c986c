#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --make-certs makes what a test of TLS needs, for nobody else to read, and overwrites nothing.
source "$(dirname "$0")/tls-common.sh"
requires certtool qemu-img nbdinfo

make_certs "$tmp/pki"
cp "$tmp/make-certs" "$tmp/told"
for key in "$tmp"/pki/*-key.pem; do
    [ "$(stat -c %a "$key")" = 600 ] || fail "mode of $key"
done
for name in server client; do
    certtool --verify --load-ca-certificate "$tmp/pki/ca-cert.pem" \
        --infile "$tmp/pki/$name-cert.pem" >/dev/null 2>&1 || fail "$name-cert.pem"
done
certtool -i --infile "$tmp/pki/server-cert.pem" >"$tmp/server" 2>&1
for name in 'DNSname: localhost' 'IPAddress: 127.0.0.1' 'IPAddress: ::1' "$(hostname)"; do
    grep -F "$name" "$tmp/server" >/dev/null || fail "the server's certificate lacks $name"
done

cp -r "$tmp/pki" "$tmp/before"
if "$NBD_EXPORT" --make-certs "$tmp/pki" 2>"$tmp/out"; then
    fail "overwritten"
fi
grep 'not overwritten' "$tmp/out" >/dev/null || fail "no reason"
rm "$tmp/pki/ca-cert.pem"
if "$NBD_EXPORT" --make-certs "$tmp/pki" 2>"$tmp/out"; then
    fail "overwritten"
fi
cp "$tmp/before/ca-cert.pem" "$tmp/pki"
diff -r "$tmp/before" "$tmp/pki"
if "$NBD_EXPORT" --make-certs "$tmp/no/such" 2>"$tmp/out"; then
    fail "made"
fi
grep 'No such file' "$tmp/out" >/dev/null

# The commands that it tells can be pasted.
truncate -s 1M "$tmp/disk"
port=$(free_port)
start_server --tls-certs="$tmp/pki" --tls-verify-peer --bind=127.0.0.1 --port="$port" \
    --format=raw "$tmp/disk"
sed -n '/^  nbdinfo/p; /^  qemu-img/,$p' "$tmp/told" |
    sed "s|localhost/|localhost:$port/|; s|host=localhost|&,port=$port|" >"$tmp/commands"
[ "$(grep -c localhost "$tmp/commands")" -eq 2 ] || fail "the commands"
bash -e "$tmp/commands" >"$tmp/out"
grep -c '^virtual size: 1 MiB\|export-size: 1048576' "$tmp/out" | grep -x 2 >/dev/null ||
    { cat "$tmp/out"; fail "the commands"; }
