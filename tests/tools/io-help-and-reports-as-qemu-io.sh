#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: the list of commands is qemu-io's, and so is the form of a report with its times.
source "$(dirname "$0")/common.sh"
requires qemu-io

images() {
    truncate -s 1G raw
}

io_both -c help
# Every name, long and short, is a command, with the same line about it.
for name in $(qemu-io -c help | sed -n 's/ .*-- .*//p') r w f l t i d a c o q '?'; do
    for program in qemu-io "$tmp/bin/qemu-io"; do
        "$program" -c "help $name" | head -n 1
    done | uniq -c | grep -q '^ *2 ' || fail "help $name"
done

number='[0-9]+(\.[0-9]{3})?'
rate='[0-9]+(\.[0-9]{3}|\.[0-9]{6})? ([KMGTP]iB|bytes)/sec'
forms="^(read|wrote|discard) [0-9]+/[0-9]+ bytes at offset [0-9]+$
^$number ([KMG]iB|bytes), 1 ops; [0-9]{2}\.[0-9]{2} sec \($rate and [0-9]+\.[0-9]{4} ops/sec\)$
^[0-9]+,1,[0-9]:[0-9]{2}:[0-9]{2}\.[0-9]{2},[0-9]+\.[0-9]{3},[0-9]+\.[0-9]{3}$"
io_both -f raw raw -c 'read 0 1' -c 'write 5 1234' -c 'discard 0 64k' -c 'read -C 0 1' \
    -c 'write -C 5 1k' -c 'discard -C 0 1M' -c 'aio_write 0 1k' -c aio_flush -c 'aio_read -C 0 5M' \
    -c aio_flush -c 'write -z 0 512M' -c 'aio_write -z 0 512M' -c aio_flush
sed '$d' "$tmp/ours.raw" >"$tmp/reports"
[ -s "$tmp/reports" ]
if grep -vE "$forms" "$tmp/reports"; then
    fail "no such form"
fi
# The same rule holds qemu-io's own, so it is the right one; but the times of its zero writes.
if sed '$d' "$tmp/theirs.raw" | grep -v '^512 MiB' | grep -vE "$forms"; then
    fail "the rule does not fit qemu-io"
fi
