#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the driver nbd says of wrong names, refusing and silent servers, and lost connections.
source "$(dirname "$0")/nbd-common.sh"
requires nbdkit

# says TEXT IMAGE...: blk-img info fails, and says so.
says() {
    local text=$1

    shift
    ! timeout 60 "$BLK_IMG" info "$@" >"$tmp/out" 2>&1 || fail "opened: $*"
    grep -F -- "$text" "$tmp/out" >/dev/null || { cat "$tmp/out"; fail "$*: not '$text'"; }
}

says "is no NBD export" nbd:localhost
says "names no unix socket" nbd+unix:///x
says "A unix socket has no host" "nbd+unix://host/x?socket=$tmp/far"
says "goes with nbd+unix:// only" "nbd://localhost/x?socket=$tmp/far"
says "Invalid parameter 'sokcet'" "nbd+unix:///x?sokcet=$tmp/far"
says "Invalid % in 'a%zz'" nbd://localhost/a%zz
says "needs 'host' or 'path'" --image-opts driver=nbd,export=x
says "exclude each other" --image-opts driver=nbd,host=h,path=/p
says "server.type=unix goes with server.path" --image-opts driver=nbd,server.type=unix,server.host=h
says "number from 1 to 16" --image-opts driver=nbd,host=h,connections=99
says "Failed to connect to '$tmp/far': connect: No such file or directory" \
    "nbd+unix:///?socket=$tmp/far"
says "TLS was described, but not asked for" --image-opts driver=nbd,host=h,tls-psk=k

far_nbdkit -r memory 1M
! "$BLK_IO" -f raw -c 'write 0 512' "$far_uri" >"$tmp/out" 2>&1 || fail "wrote to what is read-only"
grep -F "NBD export '$tmp/far' is read-only" "$tmp/out" >/dev/null ||
    { cat "$tmp/out"; fail "message of a read-only export"; }
says "doesn't support the option 'colour'" --image-opts "driver=nbd,path=$tmp/far,colour=red"
stop_far

far_nbdkit memory 1M
"$BLK_IMG" info --image-opts "driver=nbd,path=$tmp/far" >/dev/null
# Without reconnect-delay an error comes at once, and all is well again once the server is back.
start_server --image-opts "driver=raw,file.driver=nbd,file.path=$tmp/far"
/usr/bin/python3 - "$uri" "$far_pid" "$tmp" <<'END' || fail "without reconnect-delay"
import errno, os, signal, subprocess, sys
import nbd

uri, pid, tmp = sys.argv[1], int(sys.argv[2]), sys.argv[3]
h = nbd.NBD()
h.connect_uri(uri)
h.pwrite(b'x' * 4096, 0)
os.kill(pid, signal.SIGKILL)
try:
    while True:               # until the death is seen; no answer takes long
        h.pread(4096, 0)
except nbd.Error as e:
    assert e.errnum == errno.EIO, e
os.unlink(tmp + '/far')
os.mkfifo(tmp + '/again')
subprocess.check_call(['nbdkit', '--unix', tmp + '/far', '--pidfile', tmp + '/again',
                       'memory', '1M'])
open(tmp + '/again.pid', 'w').write(open(tmp + '/again').read())
while True:                   # until it is found
    try:
        assert h.pread(512, 0) == bytes(512)
        break
    except nbd.Error as e:
        assert e.errnum == errno.EIO, e
h.shutdown()
END
cleanup_fn end_process "$(cat "$tmp/again.pid")"

# A server that accepts and says nothing; one that appears in time.
mkfifo "$tmp/listens"
/usr/bin/python3 - "$tmp/mute" >"$tmp/listens" <<'END' &
import signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print('listens', flush=True)
signal.pause()
END
cleanup_fn end_process $!
read -r _ <"$tmp/listens"
says "the server did not answer in time" --image-opts "driver=nbd,path=$tmp/mute,open-timeout=1"

"$BLK_IMG" info --image-opts "driver=nbd,path=$tmp/late,open-timeout=60" >"$tmp/out" 2>&1 &
pid=$!
start_nbdkit --unix="$tmp/late" memory 1M
wait $pid || { cat "$tmp/out"; fail "open-timeout"; }
