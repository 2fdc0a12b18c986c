#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chunks of structured reads cover every range exactly once, whatever the image looks like."""
import random

from rawnbd import DF, K, M, READ, connect, eq, served

rng = random.Random(9)
image = bytearray(4 * M)
with served(size=4 * M) as server:
    with open(server.image, 'r+b') as f:
        for _ in range(20):
            at, size = rng.randrange(0, 4 * M, 4 * K), 4 * K * rng.randrange(1, 16)
            data = rng.randbytes(min(size, 4 * M - at))
            image[at:at + len(data)] = data
            f.seek(at)
            f.write(data)
    with connect(server, structured=True) as client:
        for i in range(200):
            at = rng.randrange(4 * M)
            size = min(rng.choice([1, 512, 4 * K, 64 * K, M]), 4 * M - at)
            reply = client.ok(READ, at, size, DF if i % 3 == 0 else 0)
            eq(reply.data == image[at:at + size], True, f'{at}+{size}')
        eq(client.pread(0, 4 * M) == image, True, 'the whole')
        client.disconnect()
