#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""However the stream of requests is cut into packets, each is understood and its data is stored."""
from rawnbd import (K, M, READ, WRITE, connect, eq, request_bytes, served, until_read)

SIZES = (300, 5000, 16 * K - 1, 16 * K, 16 * K + 1, 70000, 3 * M + 17)
STEP = 4 * M


def payload(i, cut):
    return bytes([i * 16 + cut % 13]) * SIZES[i]


with served(size=STEP * len(SIZES)) as server, connect(server) as client:
    for cut in 27, 28, 29, 4999, 5028, 16 * K - 1, 16 * K + 28, 60001, 256 * K, 1000003:
        stream = b''.join(request_bytes(WRITE, i * STEP, size, cookie=i) + payload(i, cut)
                          for i, size in enumerate(SIZES))
        for start in range(0, len(stream), cut):
            client.send(stream[start:start + cut])
            if start < 64 * K:
                until_read(client)              # so that it does arrive in pieces
        answered = set()
        for _ in SIZES:
            reply = client.read(16)
            eq(reply[4:8], bytes(4), 'error')
            answered.add(reply[15])
        eq(answered, set(range(len(SIZES))), 'cookies')
        for i, size in enumerate(SIZES):
            eq(client.ok(READ, i * STEP, size).data == payload(i, cut), True, f'{cut}: data {i}')
    client.disconnect()
