#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --throttle takes its keys from every place; an error says what is wrong and how to mend it.
source "$(dirname "$0")/common.sh"
truncate -s 1M "$tmp/disk"

# refuse WORDS ARG...: the server does not start, and its message has WORDS in it.
refuse() {
    local words=$1 status=0

    shift
    timeout 60 "$NBD_EXPORT" --socket="$tmp/refused" "$@" 2>"$tmp/err" || status=$?
    echo "$*: $(cat "$tmp/err")"
    [ $status -eq 1 ] || fail "$*: status $status"
    grep -qF -- "$words" "$tmp/err" || fail "$*: the message lacks \"$words\""
}

disk=(--format=raw "$tmp/disk")
refuse 'Did you mean "bps-total"?' --throttle bps-totl=1M "${disk[@]}"
refuse 'Did you mean "throttle.iops-read"?' --export "name=a,image=$tmp/disk,throttle.iops-raed=1"
refuse '--throttle: bps-read: "fast" should be a size' --throttle bps-read=fast "${disk[@]}"
refuse '--throttle: bps-read: "-1" should be a size' --throttle bps-read=-1 "${disk[@]}"
refuse 'iops-read: "1k" should be a number' --throttle iops-read=1k "${disk[@]}"
refuse 'iops-total needs a value: iops-total=NUM' --throttle iops-total "${disk[@]}"
refuse 'bps-total-max-length: "0" should be a number from 1' \
    --throttle bps-total-max-length=0 "${disk[@]}"
refuse 'bps-total does not go together with bps-read' \
    --throttle bps-total=1M,bps-read=1M "${disk[@]}"
refuse 'set bps-write' --throttle bps-write-max=1M "${disk[@]}"
refuse 'set iops-write-max' --throttle iops-write=5,iops-write-max-length=3 "${disk[@]}"
refuse 'must not be below iops-total' --throttle iops-total=5,iops-total-max=4 "${disk[@]}"
refuse 'iops-size needs a limit of operations' --throttle iops-size=4k "${disk[@]}"
refuse 'exports "a" and "b" have different limits for throttle group "g"' \
    --export "name=a,image=$tmp/disk,throttle.group=g,throttle.iops-total=5" \
    --export "name=b,image=$tmp/disk,throttle.group=g,throttle.iops-total=6"

# What is allowed: a list, again, in --export with and without a list, and a group named twice.
start_server --read-only --throttle bps-total=10M,bps-total-max=20M,bps-total-max-length=5 \
    --throttle iops-read=1000,iops-size=4k,group=g \
    --export "name=a,image=$tmp/disk,format=raw" \
    --export "name=b,image=$tmp/disk,format=raw,throttle.group=other,throttle.iops-read=5" \
    --export "name=c,image=$tmp/disk,format=raw,throttle=bps-total-max=30M,,group=c"
stop_server

# An export may leave the limits to others of its group.
start_server --read-only \
    --export "name=a,image=$tmp/disk,format=raw,throttle.group=g,throttle.iops-total=5" \
    --export "name=b,image=$tmp/disk,format=raw,throttle.group=g"
stop_server
