#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system on an export that is served under TLS only, to clients with a certificate.
source "$(dirname "$0")/guest.sh"

if ! "$NBD_EXPORT" --make-certs "$tmp/tls" >/dev/null 2>"$tmp/why"; then
    grep 'built without TLS' "$tmp/why" && skip "nbd-export was built without TLS"
    fail "$(cat "$tmp/why")"
fi
mkdir "$guest_files/tls"
cp "$tmp/tls/"{ca-cert,client-cert,client-key}.pem "$guest_files/tls"

truncate -s 64M "$tmp/disk"
serve --tls-certs="$tmp/tls" --tls-verify-peer --format=raw --discard=unmap "$tmp/disk"
host_allocated() {
    stat -c %b "$tmp/disk"
}
host_refusals() {
    grep -c 'refused' "$server_log"
}

run_guest -e port="$port" <<'END'
ca="-cacertfile /tls/ca-cert.pem"
ours="-certfile /tls/client-cert.pem -keyfile /tls/client-key.pem"

step "a file system is made and found again"
attach "$port" $ca $ours -tlshostname localhost
make_ext4 /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
write_files /mnt
files_are_right /mnt
umount /mnt
detach
attach "$port" $ca $ours -tlshostname localhost
mount -t ext4 /dev/nbd0 /mnt
files_are_right /mnt

step "what is deleted and trimmed is free on the host"
before=$(host allocated)
rm /mnt/file*
sync
fstrim /mnt
[ "$(host allocated)" -lt "$before" ]
umount /mnt
detach
no_io_error

step "without TLS, without a certificate, and under another name, it is refused"
must_fail nbd-client "$host" "$port" /dev/nbd0
must_fail nbd-client "$host" "$port" /dev/nbd0 $ca -tlshostname localhost
must_fail nbd-client "$host" "$port" /dev/nbd0 $ca $ours -tlshostname other.example
[ "$(host refusals)" -ge 2 ]
END

stop_server
e2fsck -fn "$tmp/disk"
