#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --log=syslog and --log=journal reach their sockets, the journal with fields; the journal is
# also chosen by itself where systemd says that stderr ends there.

source "$(dirname "$0")/../functions.sh"
requires unshare qemu-io
unshare -rm true 2>/dev/null || skip "no mount namespaces here"

truncate -s 1M "$tmp/disk"
mkdir "$tmp/run" "$tmp/run/systemd" "$tmp/run/systemd/journal" "$tmp/dev"
touch "$tmp/dev/null"
mkfifo "$tmp/listening"

# What arrives on the datagram sockets, as it is.
"$PYTHON3" - "$tmp" <<'END' &
import select, socket, sys
tmp, socks = sys.argv[1], []
for path in 'run/systemd/journal/socket', 'dev/log':
    socks.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    socks[-1].bind(f'{tmp}/{path}')
open(f'{tmp}/listening', 'w').close()
with open(f'{tmp}/received', 'ab', 0) as f:
    while True:
        for sock in select.select(socks, [], [])[0]:
            f.write(sock.recv(65536) + b'\n')
END
cleanup_fn kill $!
read -r _ <"$tmp/listening" || true

# A program that sees our folders as /run and /dev.
cat >"$tmp/inside" <<END
#!/bin/sh
mount --rbind /dev/null $tmp/dev/null && mount --rbind $tmp/run /run &&
mount --rbind $tmp/dev /dev && exec "$NBD_EXPORT" "\$@"
END
chmod +x "$tmp/inside"
cat >"$tmp/outside" <<END
#!/bin/sh
exec unshare -rm "$tmp/inside" "\$@"
END
chmod +x "$tmp/outside"
NBD_EXPORT=$tmp/outside

# serve ARG...: one client; leaves what was received in $tmp/received.
serve() {
    : >"$tmp/received"
    start_server --format=raw --export-name=disk "$@" "$tmp/disk"
    qemu-io -f raw -c 'write 0 4k' "nbd+unix:///disk?socket=$sock" >/dev/null
    stop_server
    [ ! -s "$server_log" ] || fail "something went to stderr: $(cat "$server_log")"
}
expect() {
    # The last message may not have been written down yet.
    timeout 60 grep -qaE -m 1 "$1" <(tail -c +1 -f --pid=$$ "$tmp/received") ||
        fail "no $1 in: $(cat -v "$tmp/received")"
}

serve --log=syslog
expect '^<29>.*nbd-export\[[0-9]+\]: export "disk": client unix pid .*: connected'

serve --log=journal
expect '^MESSAGE=export "disk": client unix .*: connected$'
expect '^PRIORITY=5$'
expect '^SYSLOG_IDENTIFIER=nbd-export$'
expect '^NBD_EXPORT=disk$'
expect '^NBD_CLIENT=unix pid [0-9]+ uid [0-9]+$'
expect '^NBD_BYTES_WRITTEN=4096$'

: >"$tmp/server2.log"
JOURNAL_STREAM=$(stat -c %d:%i "$tmp/server2.log") serve
expect '^NBD_EXPORT=disk$'
