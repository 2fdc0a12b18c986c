#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbdkit's TLS with certificates: those with one are served, those without are not.
source "$(dirname "$0")/common.sh"
requires certtool qemu-img
nbdkit --dump-config | grep -q '^tls=yes' || skip "this nbdkit has no TLS"

mkdir "$tmp/pki"
# certificate NAME ISSUER-ARGUMENT... : from the template on standard input.
certificate() {
    local name=$1

    shift
    cat >"$tmp/$name.info"
    certtool --generate-privkey --key-type=ecdsa --outfile "$tmp/pki/$name-key.pem" 2>/dev/null
    certtool "$@" --load-privkey "$tmp/pki/$name-key.pem" --template "$tmp/$name.info" \
        --outfile "$tmp/pki/$name-cert.pem" 2>"$tmp/certtool.log" ||
        { cat "$tmp/certtool.log"; fail "certtool: $name"; }
}
signed=(--generate-certificate --load-ca-certificate "$tmp/pki/ca-cert.pem"
    --load-ca-privkey "$tmp/pki/ca-key.pem")
printf 'cn=test\nca\ncert_signing_key\n' | certificate ca --generate-self-signed
printf 'cn=localhost\ndns_name=localhost\ntls_www_server\nsigning_key\n' |
    certificate server "${signed[@]}"
printf 'cn=client\ntls_www_client\nsigning_key\n' | certificate client "${signed[@]}"

under_tls() {
    run_nbdkit --tls=require --tls-certificates="$tmp/pki" --tls-verify-peer "${plugin[@]}" "$image"
    if nbdinfo "$uri" >/dev/null 2>&1; then
        fail "served without TLS"
    fi
    SOCK=$sock PKI=$tmp/pki /usr/bin/python3 <<'END'
import nbd, os
h = nbd.NBD()
h.set_tls(nbd.TLS_REQUIRE)
h.set_tls_certificates(os.environ['PKI'])
h.set_uri_allow_local_file(True)
h.connect_uri('nbds+unix://localhost/?socket=' + os.environ['SOCK'])
assert h.get_tls_negotiated()
for n in range(64):
    h.pwrite(bytes([n]) * 65536, n << 16)
h.flush()
for n in range(64):
    assert h.pread(65536, n << 16) == bytes([n]) * 65536
END
    stop_server || fail "status $?"
}
for_each_format under_tls
