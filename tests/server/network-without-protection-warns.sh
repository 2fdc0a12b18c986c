#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who serves the network in the clear and without a rule is warned; who protects it is not.
source "$(dirname "$0")/tls-common.sh"

make_certs "$tmp/pki"
truncate -s 1M "$tmp/disk"

# warned yes|no ARG...
warned() {
    local want=$1 got=no

    shift
    start_server --format=raw "$@"
    stop_server || fail "status $?"
    ! grep 'whoever reaches this machine.*--tls-certs' "$server_log" >/dev/null || got=yes
    [ "$got" = "$want" ] || fail "warned: $got, with: $*"
}

warned yes --bind=0.0.0.0 --port=0 "$tmp/disk"
warned no --bind=127.0.0.1 --port=0 "$tmp/disk"
warned no "$tmp/disk"
warned no --bind=0.0.0.0 --port=0 --tls-certs="$tmp/pki" "$tmp/disk"
warned yes --bind=0.0.0.0 --port=0 --tls-certs="$tmp/pki" --tls=on "$tmp/disk"
warned no --bind=0.0.0.0 --port=0 --tls-certs="$tmp/pki" --tls=on \
    --export="image=$tmp/disk,tls=require"
warned no --bind=0.0.0.0 --port=0 --allow=net:192.0.2.0/24 "$tmp/disk"
