#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TLS connection that is cut instead of closed is lost; one that is closed gets its replies."""
import os
import socket

from rawnbd import WRITE, eq, request_bytes
from rawtls import connect_tls, served_tls

TICKS = os.sysconf('SC_CLK_TCK')


def cpu_seconds(server):
    with open(f'/proc/{server.proc.pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def say_goodbye(client):
    """Closes our direction only, as TLS does it; the other one stays."""
    try:
        client.sock.unwrap()
    except OSError:
        pass


with served_tls('-v') as (server, ctx), connect_tls(server, ctx) as other:
    with connect_tls(server, ctx) as client:
        client.send(request_bytes(WRITE, 0, 4096) + bytes(100))
        client.sock.shutdown(socket.SHUT_RDWR)
    while 'connection lost' not in server.log():
        other.pread(0, 512)
    before = cpu_seconds(server)

    with connect_tls(server, ctx) as client:
        client.pwrite(0, b'data')
        say_goodbye(client)
    for _ in range(50):
        eq(other.pread(0, 4), b'data', 'what was written')
    assert cpu_seconds(server) - before < 2, 'a cut connection keeps the server busy'
    eq(server.log().count('connection lost'), 1, 'a closed connection is not lost')
    other.disconnect()
