#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""BLOCK_STATUS at any place and length answers from there on, and never past the end."""
import os
import random

from rawnbd import BLOCK_STATUS, M, REQ_ONE, ZERO, connect, served

rng = random.Random(5)
with served(size=8 * M) as server:
    with open(server.image, 'r+b') as f:
        for at in range(0, 8 * M, 256 * 1024):
            os.pwrite(f.fileno(), b'\x10' * 65536, at)
    with connect(server, allocation=True) as client:
        for i in range(200):
            offset = rng.randrange(8 * M)
            length = min(rng.choice([1, 512, 4096, 100000, 8 * M]), 8 * M - offset)
            reply = client.ok(BLOCK_STATUS, offset, length, REQ_ONE if i & 1 else 0)
            extents = next(iter(reply.extents.values()))
            assert offset + sum(n for n, _ in extents) <= 8 * M, 'beyond the end'
            for n, status in extents:
                if status & ZERO:
                    n = min(n, M)
                    assert client.pread(offset, n) == bytes(n), 'ZERO does not read as zeroes'
                offset += n
        client.disconnect()
