#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the command line cannot mean is a status other than 0 and a clear message on stderr.
source "$(dirname "$0")/common.sh"
truncate -s 1M "$tmp/disk"
mkdir "$tmp/folder"

# refuse WORD ARG...: the server does not start, and its message has WORD in it.
refuse() {
    local word=$1 status=0

    shift
    timeout 60 "$NBD_EXPORT" --socket="$tmp/sock" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    echo "$*: $(cat "$tmp/err")"
    [ $status -ne 0 ] || fail "$*: accepted"
    [ $status -ne 124 ] || fail "$*: it runs"
    [ $status -lt 128 ] || fail "$*: crashed with status $status"
    [ ! -s "$tmp/out" ] || fail "$*: the message is not on stderr"
    grep -qi -- "$word" "$tmp/err" || fail "$*: the message lacks \"$word\""
    [ ! -e "$tmp/sock" ] || fail "$*: left its socket behind"
}

refuse description --descripton=x "$tmp/disk"
refuse read-only --readonly "$tmp/disk"
refuse nonesuch --format=nonesuch "$tmp/disk"
refuse port --port=abc "$tmp/disk"
refuse port --port=65536 "$tmp/disk"
refuse port --port=-1 "$tmp/disk"
refuse cache --cache=always "$tmp/disk"
refuse aio --aio=fast "$tmp/disk"
refuse discard --discard=maybe "$tmp/disk"
refuse threads --threads=0 "$tmp/disk"
refuse threads --threads=many "$tmp/disk"
refuse shared --shared=-1 "$tmp/disk"
refuse shared --shared=x "$tmp/disk"
refuse drain-timeout --drain-timeout=soon "$tmp/disk"
refuse missing --format=raw "$tmp/missing"
refuse folder --format=raw "$tmp/folder"
refuse image
refuse nonesuch.invalid --bind=nonesuch.invalid --format=raw "$tmp/disk"
refuse driver --image-opts driver=nonesuch
refuse size --image-opts driver=null-co,size=lots
refuse nonesuch --image-opts driver=null-co,nonesuch=1
refuse second --format=raw "$tmp/disk" "$tmp/second"
