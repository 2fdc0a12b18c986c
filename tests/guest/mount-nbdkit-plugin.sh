#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system on our plugin in nbdkit: plain, and with TLS, where both ends show certificates.
source "$(dirname "$0")/guest.sh"
requires nbdkit openssl qemu-img
plugin=$abs_top_builddir/.libs/nbdkit-blkbackend-plugin.so
[ -e "$plugin" ] || skip "the plugin is not built"

# certificate NAME EXTENSION OPENSSL-ARG...: NAME-cert.pem and NAME-key.pem.
certificate() {
    local name=$1 extension=$2

    shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=$name" -addext "$extension" -keyout "$tmp/tls/$name-key.pem" \
        -out "$tmp/tls/$name-cert.pem" "$@" 2>"$tmp/openssl.log" ||
        fail "openssl: $(cat "$tmp/openssl.log")"
}

# signed NAME EXTENSION: the same, signed by the CA.
signed() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$tmp/tls/$1-key.pem" -out "$tmp/request" 2>/dev/null
    openssl x509 -req -in "$tmp/request" -days 2 -CA "$tmp/tls/ca-cert.pem" \
        -CAkey "$tmp/tls/ca-key.pem" -CAcreateserial -extfile <(echo "$2") \
        -out "$tmp/tls/$1-cert.pem" 2>/dev/null
}

mkdir "$tmp/tls"
certificate ca basicConstraints=critical,CA:TRUE
signed server subjectAltName=DNS:disk.example
signed client subjectAltName=DNS:guest.example
cp -r "$tmp/tls" "$guest_files/tls"
rm "$guest_files/tls/"{ca,server}-key.pem

qemu-img create -q -f qcow2 "$tmp/disk" 64M
serve_nbdkit "$plugin" "$tmp/disk" format=qcow2 discard=unmap
plain=$port
qemu-img create -q -f qcow2 "$tmp/secret" 64M
serve_nbdkit --tls=require --tls-certificates="$tmp/tls" --tls-verify-peer \
    "$plugin" "$tmp/secret" format=qcow2 discard=unmap

run_guest -e plain="$plain" -e tls="$port" <<'END'
# round ARG...: a file system is made, and found again by the next connection.
round() {
    attach "$@"
    make_ext4 /dev/nbd0
    mount -t ext4 /dev/nbd0 /mnt
    write_files /mnt
    files_are_right /mnt
    fstrim /mnt
    umount /mnt
    detach
    attach "$@"
    mount -t ext4 /dev/nbd0 /mnt
    files_are_right /mnt
    umount /mnt
    detach
}

step "plain, on four connections"
round "$plain" -C 4

step "with TLS"
ca="-cacertfile /tls/ca-cert.pem"
ours="-certfile /tls/client-cert.pem -keyfile /tls/client-key.pem"
round "$tls" $ca $ours -tlshostname disk.example
no_io_error

step "without TLS, without a certificate, and under another name, it is refused"
must_fail nbd-client "$host" "$tls" /dev/nbd0
must_fail nbd-client "$host" "$tls" /dev/nbd0 $ca -tlshostname disk.example
must_fail nbd-client "$host" "$tls" /dev/nbd0 $ca $ours -tlshostname other.example
END

for image in disk secret; do
    qemu-img check -U -f qcow2 "$tmp/$image"
    qemu-img convert -U -f qcow2 -O raw "$tmp/$image" "$tmp/raw"
    e2fsck -fn "$tmp/raw"
done
