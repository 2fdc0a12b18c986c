#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Allocation depth and dirty bitmaps of an image and of its backing file: clients get the answers
# that qemu-nbd gives them.
source "$(dirname "$0")/../functions.sh"
requires qemu-nbd qemu-img qemu-io nbdinfo

cd "$tmp"
write() {   # IMAGE OFFSET LENGTH...
    local image=$1 commands=()

    shift
    while [ $# -gt 0 ]; do
        commands+=(-c "write -P 7 $1 $2")
        shift 2
    done
    qemu-io -f qcow2 "${commands[@]}" "$image" >/dev/null
}

qemu-img create -q -f qcow2 base.qcow2 5M
qemu-img bitmap --add -g 64k base.qcow2 of-base
write base.qcow2 0 64k 1M 512k 4M 1M
qemu-img bitmap --disable base.qcow2 of-base
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 mid.qcow2 6M
write mid.qcow2 128k 64k 1M 64k
# The top one is longer than what is below it.
qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2 8M
qemu-img bitmap --add -g 4k top.qcow2 one
write top.qcow2 1088k 4k 5M 300k 7M 64k
qemu-img bitmap --disable top.qcow2 one
qemu-img bitmap --add -g 1M top.qcow2 two
write top.qcow2 2M 4k
qemu-io -f qcow2 -c 'write -z 3M 128k' -c 'write -z -u 3200k 64k' top.qcow2 >/dev/null

# answers SOCKET: all that the contexts say.
answers() {
    local context

    for context in base:allocation qemu:allocation-depth qemu:dirty-bitmap:{one,two,of-base}; do
        echo "$context"
        nbdinfo --map="$context" "nbd+unix:///?socket=$1"
    done
    for context in qemu:allocation-depth qemu:dirty-bitmap:{one,two,of-base}; do
        echo "$context"
        qemu-img map --output=json --image-opts \
            "driver=nbd,server.type=unix,server.path=$1,x-dirty-bitmap=$context"
    done
    nbdinfo --json "nbd+unix:///?socket=$1" | grep -oE '"(base|qemu):[^"]*"' | sort
}

qemu-nbd -r -f qcow2 -t -e 8 -A -B one -B two -B of-base -k "$tmp/q.sock" top.qcow2 \
    --fork --pid-file="$tmp/q.pid"
cleanup_fn kill "$(cat q.pid)"
answers "$tmp/q.sock" >theirs

start_server --read-only --format=qcow2 -A -B one --bitmap=two --bitmap of-base top.qcow2
answers "$sock" >ours
diff -u theirs ours
[ "$(grep -c . ours)" -gt 60 ] || fail "hardly an answer"
stop_server

# In the list of an export; only what was asked for is offered.
start_server --format=qcow2 --export name=a,image=top.qcow2,read-only=on,bitmap=one,bitmap=of-base \
    --export name=b,image=mid.qcow2,read-only=on,allocation-depth=on
nbdinfo --json "nbd+unix:///a?socket=$sock" | grep -oE '"(base|qemu):[^"]*"' | sort >a
printf '"%s"\n' base:allocation qemu:dirty-bitmap:of-base qemu:dirty-bitmap:one | diff -u - a
nbdinfo --json "nbd+unix:///b?socket=$sock" | grep -oE '"(base|qemu):[^"]*"' | sort >b
printf '"%s"\n' base:allocation qemu:allocation-depth | diff -u - b
