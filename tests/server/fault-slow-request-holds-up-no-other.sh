#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One slow place of the medium: requests elsewhere are answered before, and at SIGTERM the slow
# one is answered too.
source "$(dirname "$0")/common.sh"
requires qemu-io

truncate -s 1M "$tmp/disk"
start_server --image-opts "driver=blkdebug,image.driver=file,image.filename=$tmp/disk,\
inject-error.0.sector=8,inject-error.0.delay-ns=1000000000"
qemu-io -f raw "$uri" -c 'aio_write -P 1 4k 4k' -c 'aio_write -P 2 64k 4k' \
    -c 'aio_read -P 0 128k 4k' -c 'aio_flush' >"$tmp/out"
[ "$(grep -c 'offset [0-9]*' "$tmp/out")" = 3 ] || { cat "$tmp/out"; fail 'an answer is missing'; }
grep 'offset [0-9]*' "$tmp/out" | tail -n 1 | grep -q 'offset 4096' ||
    { cat "$tmp/out"; fail 'the slow one was not the last'; }

# The log of the medium shows when the slow write is in flight; then comes the signal.
stop_server || fail "the server ended with status $?"
mkfifo "$tmp/log"
exec 8<>"$tmp/log"
start_server --image-opts "driver=blkdebug,image.driver=file,image.filename=$tmp/disk,\
log=$tmp/log,inject-error.0.sector=8,inject-error.0.delay-ns=1000000000"
qemu-io -t writeback -f raw "$uri" -c 'write -P 3 4k 4k' >"$tmp/out" 2>&1 8<&- &
client=$!
while read -r -u 8 mark _ op _; do
    [ "$mark $op" = '> write' ] && break
done
stop_server || fail "the server ended with status $?"
wait $client || true
grep -q 'wrote 4096/4096' "$tmp/out" || { cat "$tmp/out"; fail 'the slow write got no answer'; }
qemu-io -r -f raw "$tmp/disk" -c 'read -P 3 4k 4k' >"$tmp/out"
! grep -q 'Pattern' "$tmp/out" || fail 'the data are not there'
