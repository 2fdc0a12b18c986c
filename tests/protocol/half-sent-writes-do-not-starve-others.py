#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that announce 32 MiB of data and send hardly any do not stop the others."""
from rawnbd import M, WRITE, connect, eq, grew_less_than, request_bytes, rss, served, still_serves

with served('--max-memory=128M', size=64 * M) as server:
    still_serves(server)
    before = rss(server)
    slow = [connect(server) for _ in range(24)]
    for client in slow:
        client.send(request_bytes(WRITE, 0, 32 * M) + bytes(4096))
    with connect(server) as good:
        for i in range(20):
            good.pwrite(i * M, b'\x52' * M)
            eq(good.pread(i * M, M) == b'\x52' * M, True, 'data')
        good.disconnect()
    grew_less_than(192 * M, server, before)
    for client in slow:
        client.close()
    still_serves(server)
