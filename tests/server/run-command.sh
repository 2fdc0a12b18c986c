#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --run: the command finds the export, the server ends with its status and leaves nothing behind.
# shellcheck disable=SC2016 # the variables are the command's

source "$(dirname "$0")/../functions.sh"
requires nbdinfo qemu-img

truncate -s 1M "$tmp/disk"
run() {
    "$NBD_EXPORT" --aio="$ENGINE" --format=raw "$@" "$tmp/disk" 2>"$tmp/err"
}

run --run 'nbdinfo --size "$uri"; test -S "$unixsocket" || echo no socket
    qemu-img info "$nbd" | grep "^virtual size"; echo "<$exportname>"' >"$tmp/out"
diff "$tmp/out" - <<'END'
1048576
virtual size: 1 MiB (1048576 bytes)
<>
END
run --export-name='a b' --run 'nbdinfo --size "$uri"; qemu-img info "$nbd" >/dev/null && echo ok
    echo "<$exportname>"' >"$tmp/out"
diff "$tmp/out" - <<'END'
1048576
ok
<a b>
END
run --socket="$tmp/sock" --run 'echo "$unixsocket"' >"$tmp/out"
[ "$(cat "$tmp/out")" = "$tmp/sock" ] || fail "an address of one's own: $(cat "$tmp/out")"
[ ! -e "$tmp/sock" ] || fail "the socket is still there"

status=0
run --run 'exit 42' || status=$?
[ $status -eq 42 ] || fail "exit 42: $status"
status=0
run --run 'kill -KILL $$' || status=$?
[ $status -eq 137 ] || fail "killed: $status"

if run --user=nobody --run true; then
    fail "--user was accepted"
fi
grep -q -- '--run goes without --user' "$tmp/err"

# SIGTERM to the server ends both.
mkfifo "$tmp/started"
run --run "exec 3>&1; echo >$tmp/started; exec tail -f /dev/null" &
pid=$!
read -r _ <"$tmp/started" || true
kill "$(pgrep -P $pid -x nbd-export || echo $pid)"
status=0
wait $pid || status=$?
[ $status -eq 143 ] || fail "SIGTERM: $status"

for f in "$tmp"/nbd-export-*; do
    [ ! -e "$f" ] || fail "something is left: $f"
done
