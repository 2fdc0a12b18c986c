#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With a captive client, with --exit-with-parent, and an end under load.
source "$(dirname "$0")/common.sh"
requires qemu-img nbdcopy

make_image qcow2
# ThreadSanitizer's library, which nbdkit's shell inherits, does not go with a shell.
if [[ ${SANITIZERS:-} != *thread* ]]; then
    # shellcheck disable=SC2016 # nbdkit's shell
    plain_nbdkit -U - "${plugin[@]}" "$image" --run 'LD_PRELOAD= nbdcopy "$uri" '"$tmp/copy"
    [ "$(stat -c %s "$tmp/copy")" = $((64 << 20)) ] || fail "--run"
fi

mkfifo "$tmp/ready" "$tmp/go"
bash -c '"${@:2}" 3>"$0/ready" & cat "$0/go"; exit "$1"' "$tmp" 0 "${preload[@]}" nbdkit \
    --exit-with-parent -f -U "$tmp/parent.sock" -P /dev/fd/3 "${plugin[@]}" "$image" &
parent=$!
read -r server <"$tmp/ready"
: >"$tmp/go"
wait "$parent"
tail -f /dev/null --pid="$server"

# Clients write, and nbdkit is told to end: it does, and the image is whole.
run_nbdkit "${plugin[@]}" "$image"
mkfifo "$tmp/busy"
BUSY=$tmp/busy python_nbd <<'END' &
handles = [h] + [connect() for n in range(3)]
for n in range(64):
    for each in handles:
        each.aio_pwrite(bytearray(b'x' * 65536), (n % 64) << 16)
for each in handles:
    each.pwrite(b'x' * 4096, 0)
open(os.environ['BUSY'], 'w').close()
try:
    n = 0
    while True:
        for each in handles:
            each.pwrite(b'x' * 4096, (n % 64) << 16)
        n += 1
except nbd.Error:
    pass
END
client=$!
cat "$tmp/busy"
stop_server || fail "status $?"
wait "$client"
qemu-img check -q "$image"
