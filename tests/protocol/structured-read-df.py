#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""DF gives one data chunk, with the zeroes of holes in it; 64 KiB always work."""
import os

from rawnbd import DF, EOVERFLOW, K, M, OFFSET_DATA, READ, SEND_DF, connect, eq, served

with served(size=16 * M) as server:
    with open(server.image, 'r+b') as f:
        os.pwrite(f.fileno(), b'\x42' * 4 * K, 8 * K)
    with connect(server, structured=True) as client:
        assert client.flags & SEND_DF, 'SEND_DF'
        for offset, length in (0, 64 * K), (4 * K, 8 * K), (8 * K + 1, 64 * K - 1), (10 * K, 9 * K):
            reply = client.ok(READ, offset, length, DF)
            eq(reply.chunks, [(OFFSET_DATA, offset, length)], 'one chunk')
        reply = client.call(READ, 0, 16 * M, DF)
        assert reply.error in (0, EOVERFLOW) and len(reply.chunks) <= 1, reply.chunks
        eq(len(client.ok(READ, M, 4 * K, DF).chunks), 1, 'one chunk also for a hole')
        client.disconnect()
