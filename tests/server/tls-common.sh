# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests of nbd-export's TLS: certificates, keys, and clients that use them.

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# make_certs FOLDER: an authority, and a server and a client that it vouches for.
make_certs() {
    "$NBD_EXPORT" --make-certs "$1" >"$tmp/make-certs" 2>&1 && return
    grep -q 'built without TLS' "$tmp/make-certs" && skip "nbd-export was built without TLS"
    cat "$tmp/make-certs"
    fail "--make-certs $1"
}

# make_key FILE USER...: pre-shared keys.
make_key() {
    local file=$1 user

    shift
    for user; do
        echo "$user:$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >>"$file"
    done
    chmod 600 "$file"
}

# served URI: it can be opened.
served() {
    nbdinfo --size "$1" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail "not served: $1"; }
}

# refused URI [PATTERN]: it cannot be opened, and the log says why.
refused() {
    if nbdinfo --size "$1" >"$tmp/out" 2>&1; then
        fail "served: $1"
    fi
    [ $# -lt 2 ] || logged "refused.*$2"
}

# logged PATTERN: it stands in the log, or will as soon as the server has come so far.
logged() {
    local tries

    for ((tries = 0; tries < 1000; tries++)); do
        grep "$1" "$server_log" >/dev/null && return
        # The server does what it has to do in between.
        nbdinfo --size "nbd+unix:///?socket=$sock" >/dev/null 2>&1 || true
    done
    fail "the log does not say: $1"
}

tls_uri() {
    echo "nbds+unix://localhost/?socket=$sock&tls-certificates=$1"
}

psk_uri() {
    echo "nbds+unix://$2@localhost/?socket=$sock&tls-psk-file=$1"
}
