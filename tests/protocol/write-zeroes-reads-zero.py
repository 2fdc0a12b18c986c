#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""WRITE_ZEROES leaves zeroes in exactly its range, of any size, aligned or not."""
import random

from rawnbd import M, NO_HOLE, WRITE_ZEROES, eq, every_form, served

rng = random.Random(3)
image = bytearray(rng.randbytes(4 * M))
with served(data=bytes(image)) as server:
    for client in every_form(server):
        for _ in range(60):
            offset = rng.randrange(4 * M)
            if rng.random() < 0.5:
                offset &= ~4095
            length = min(rng.choice([1, 511, 512, 4096, 65536, 70001]), 4 * M - offset)
            client.ok(WRITE_ZEROES, offset, length, rng.choice([0, NO_HOLE]))
            image[offset:offset + length] = bytes(length)
        eq(client.pread(0, 4 * M) == image, True, 'data')
        client.ok(WRITE_ZEROES, 0, 4 * M)
        eq(client.pread(0, 4 * M) == bytes(4 * M), True, 'all of it')
        image = bytearray(rng.randbytes(4 * M))
        client.pwrite(0, image)
        client.disconnect()
