#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that takes its replies late still gets each of them."""
import select

from rawnbd import K, M, READ, connect, eq, request_bytes, served

with served(data=b'\x51' * M) as server, connect(server) as client:
    client.sock.setblocking(False)
    request, sent = request_bytes(READ, 0, 256 * K, cookie=1), 0
    while select.select([], [client.sock], [], 0.5)[1] and sent < 28 * 100000:
        sent += client.sock.send(request[sent % 28:])
    client.sock.settimeout(60)
    want = b'\x67\x44\x66\x98' + bytes(4) + (1).to_bytes(8, 'big') + b'\x51' * 256 * K
    for _ in range(sent // 28):
        eq(client.read(len(want)) == want, True, 'reply')
