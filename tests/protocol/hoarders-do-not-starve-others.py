#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that take no replies, enough of them to fill --max-memory, do not stop the others."""
import select

from rawnbd import M, READ, connect, eq, grew_less_than, request_bytes, rss, served, still_serves

with served('--max-memory=128M', data=b'\x51' * 8 * M) as server:
    still_serves(server)
    before = rss(server)
    hoarders = [connect(server) for _ in range(6)]
    for client in hoarders:
        client.sock.setblocking(False)
        requests, sent = request_bytes(READ, 0, 8 * M) * 256, 0
        while sent < len(requests) and select.select([], [client.sock], [], 0)[1]:
            sent += client.sock.send(requests[sent:])
    with connect(server) as good:
        for _ in range(50):
            eq(good.pread(0, 65536) == b'\x51' * 65536, True, 'data')
        good.pwrite(0, b'\x52' * M)
        eq(good.pread(0, M) == b'\x52' * M, True, 'data')
        good.disconnect()
    grew_less_than(192 * M, server, before)
    for client in hoarders:
        client.close()
    still_serves(server)
