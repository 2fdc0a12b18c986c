#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one connection wrote and had answered, every other reads; a FLUSH on any covers it."""
import random

from rawnbd import CAN_MULTI_CONN, FLUSH, FUA, WRITE_ZEROES, connect, eq, served

rng = random.Random(4)
with served(size=1 << 20) as server:
    clients = [connect(server, structured=i % 2 == 0) for i in range(4)]
    assert clients[0].flags & CAN_MULTI_CONN, 'CAN_MULTI_CONN'
    image = bytearray(1 << 20)
    for i in range(200):
        writer, flusher, reader = (rng.choice(clients) for _ in range(3))
        offset = rng.randrange(0, 1 << 20, 512)
        if i % 5:
            data = rng.randbytes(512)
            writer.pwrite(offset, data, rng.choice([0, FUA]))
        else:
            data = bytes(512)
            writer.ok(WRITE_ZEROES, offset, 512)
        image[offset:offset + 512] = data
        if i % 10 == 0:
            flusher.ok(FLUSH)
        eq(reader.pread(offset, 512), data, 'another connection')
    clients[3].ok(FLUSH)
    with open(server.image, 'rb') as f:
        eq(f.read() == image, True, 'the file')
    for client in clients:
        client.disconnect()
