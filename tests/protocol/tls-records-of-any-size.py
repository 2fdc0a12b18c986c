#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests and records need not begin and end together: single bytes, many requests, 32 MiB."""
import os

from rawnbd import K, M, READ, WRITE, eq, request_bytes
from rawtls import connect_tls, served_tls

with served_tls(size=40 * M) as (server, ctx), connect_tls(server, ctx, structured=True) as client:
    for byte in request_bytes(WRITE, 0, 5, cookie=99) + b'bytes':   # a record each
        client.send(bytes([byte]))
    eq(client.read(16)[4:], bytes(4) + (99).to_bytes(8, 'big'), 'the reply')
    eq(client.pread(0, 5), b'bytes', 'data')

    data = os.urandom(32 * M)                                       # many records a request
    client.pwrite(M, data)
    eq(client.pread(M, 32 * M) == data, True, 'what was written')

    for at in range(0, 2000, 200):                                  # many requests a record
        client.send(b''.join(request_bytes(WRITE, i * 16, 16, cookie=i) + bytes([i % 256]) * 16
                             for i in range(at, at + 200)))
        eq(len({client.read(16)[8:] for _ in range(200)}), 200, 'replies')
        for i in range(at, at + 200):
            client.request(READ, i * 16, 16)
        for _ in range(200):
            reply = client.receive()[1]
            eq(bytes(reply.data), bytes([reply.offset // 16 % 256]) * 16, 'data')
    for size in 1, 16 * K - 21, 16 * K - 20, 16 * K - 19, 16 * K, 32 * K - 20, 256 * K + 1:
        eq(client.pread(M + size, size) == data[size:2 * size], True, f'a read of {size} bytes')
    client.disconnect()
