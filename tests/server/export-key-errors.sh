#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Errors in --export name the key, the value and the nearest key that exists.
source "$(dirname "$0")/common.sh"
truncate -s 1M "$tmp/disk"

# refuse WORD EXPORT...: the server does not start, and its message has WORD in it.
refuse() {
    local word=$1 status=0 args=() each

    shift
    for each; do
        args+=(--export "$each")
    done
    timeout 60 "$NBD_EXPORT" --socket="$tmp/sock" "${args[@]}" 2>"$tmp/err" || status=$?
    echo "$*: $(cat "$tmp/err")"
    [ $status -ne 0 ] || fail "$*: accepted"
    [ $status -lt 124 ] || fail "$*: status $status"
    grep -qi -- "$word" "$tmp/err" || fail "$*: the message lacks \"$word\""
}

refuse format "name=a,image=$tmp/disk,formt=raw"
refuse formt "name=a,image=$tmp/disk,formt=raw"
refuse description "name=a,image=$tmp/disk,descripton=x"
refuse read-only "name=a,image=$tmp/disk,readonly=on"
refuse read-only "name=a,image=$tmp/disk,format=raw,read-only=perhaps"
refuse image "name=a,format=raw"
refuse missing "name=a,image=$tmp/missing,format=raw"
refuse nonesuch "name=a,image=$tmp/disk,format=nonesuch"
refuse cache "name=a,image=$tmp/disk,format=raw,cache=always"
refuse a "name=a,image=$tmp/disk,format=raw,read-only=on" \
    "name=a,image=$tmp/disk,format=raw,read-only=on"
refuse name "name=$(printf 'x%.0s' {1..5000}),image=$tmp/disk,format=raw"
for rule in any:thing any: net 10.0.0.0/8 net:10.0.0 net:10.0.0.0/33 net:10.0.0.0/ net:::/129 \
    net:10.1.0.0/8 net:::ffff:10.0.0.0/95 uid: uid:-1 uid:4294967295 uid:1x user:nonesuch gid:x \
    group:nonesuch nix:1; do
    refuse "allow: " "name=a,image=$tmp/disk,format=raw,allow=$rule"
done
refuse "net:10.0.0.0/8" "name=a,image=$tmp/disk,format=raw,allow-read-only=net:10.1.0.0/8"
for rule in tls:alice psk:alice; do
    refuse "nothing of that kind" "name=a,image=$tmp/disk,format=raw,allow=$rule"
done
