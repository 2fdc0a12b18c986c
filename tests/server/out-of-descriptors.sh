#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A server that runs out of file descriptors serves on those it has, and again once some are free.
source "$(dirname "$0")/common.sh"
requires prlimit

truncate -s 1M "$tmp/disk"
start_server --shared=0 --format=raw "$tmp/disk"
prlimit --pid "$server_pid" --nofile=40
sock=$sock /usr/bin/python3 -B - <<'END'
import os
import socket


def greeted(sock):
    try:
        return sock.recv(18)[:8] == b'NBDMAGIC'
    except OSError:
        return False


clients = []
for _ in range(80):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(0.2 if len(clients) > 15 else 60)
    try:
        sock.connect(os.environ['sock'])
    except OSError:
        pass
    clients.append(sock)
served = [c for c in clients[:16] if greeted(c)]
assert len(served) > 8, f'{len(served)} served'
for c in clients:
    c.close()
last = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
last.settimeout(60)
last.connect(os.environ['sock'])
assert greeted(last), 'nobody is served any more'
END
