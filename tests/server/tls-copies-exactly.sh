#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image goes to the server over TLS and comes back the same, with each version of TLS.
source "$(dirname "$0")/tls-common.sh"
requires nbdcopy qemu-img

make_certs "$tmp/pki"
head -c 6M /dev/urandom >"$tmp/source"
truncate -s 8M "$tmp/source" "$tmp/disk"
start_server --tls-certs="$tmp/pki" -v --format=raw "$tmp/disk"

nbdcopy "$tmp/source" "$(tls_uri "$tmp/pki")"
nbdcopy "$(tls_uri "$tmp/pki")" "$tmp/copy"
cmp "$tmp/source" "$tmp/disk"
cmp "$tmp/source" "$tmp/copy"

opts=driver=nbd,path=$sock,tls-creds=tls,tls-hostname=localhost
for version in 1.2 1.3; do
    creds=(--object "tls-creds-x509,id=tls,endpoint=client,dir=$tmp/pki,$(
        )priority=NORMAL:-VERS-ALL:+VERS-TLS$version")
    head -c 6M /dev/urandom >"$tmp/source"
    truncate -s 8M "$tmp/source"
    : >"$server_log"
    qemu-img convert -n "${creds[@]}" -f raw --target-image-opts "$tmp/source" "$opts"
    cmp "$tmp/source" "$tmp/disk"
    qemu-img compare "${creds[@]}" --image-opts "driver=file,filename=$tmp/source" "$opts"
    grep "TLS$version" "$server_log" >/dev/null || fail "no TLS $version"
done
for priority in NORMAL:-VERS-ALL:+VERS-TLS1.1 NORMAL:-CIPHER-ALL:+AES-128-CBC; do
    if qemu-img info --object \
        "tls-creds-x509,id=tls,endpoint=client,dir=$tmp/pki,priority=$priority" \
        --image-opts "$opts" >/dev/null 2>&1; then
        fail "served: $priority"
    fi
done
