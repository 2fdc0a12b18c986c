#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that sends READs and takes no reply is not read beyond a bound and hurts nobody."""
import select

from rawnbd import M, READ, connect, eq, grew_less_than, request_bytes, rss, served, still_serves

with served(data=b'\x51' * 8 * M) as server:
    still_serves(server)
    before = rss(server)
    bad = [connect(server) for _ in range(3)]
    for client in bad:
        client.sock.setblocking(False)
        request, sent = request_bytes(READ, 0, 4 * M) * 1024, 0
        while select.select([], [client.sock], [], 1)[1]:
            sent += client.sock.send(request[sent % 28:])
            assert sent < 28 * 1000000, 'the server reads on although no reply is taken'
    for _ in range(10):
        still_serves(server)
    with connect(server) as good:
        for i in range(100):
            eq(good.pread(0, 65536) == b'\x51' * 65536, True, 'data')
        grew_less_than(3 * 96 * M, server, before)
        good.disconnect()
    for client in bad:
        client.close()
    still_serves(server)
