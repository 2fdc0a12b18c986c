#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A structured read of a sparse image sends its holes as holes, not as zeroes."""
import os

from rawnbd import M, OFFSET_DATA, OFFSET_HOLE, READ, connect, eq, served, skip

with served(size=16 * M) as server:
    with open(server.image, 'r+b') as f:
        os.pwrite(f.fileno(), b'\x42' * M, 4 * M)
        if os.lseek(f.fileno(), 0, os.SEEK_DATA) != 4 * M:
            skip('the file system does not tell holes')
    with connect(server, structured=True) as client:
        reply = client.ok(READ, 0, 16 * M)
        data = sum(size for kind, _, size in reply.chunks if kind == OFFSET_DATA)
        holes = sum(size for kind, _, size in reply.chunks if kind == OFFSET_HOLE)
        eq((data, holes), (M, 15 * M), 'bytes of data and of holes')
        eq(reply.data[4 * M:5 * M] == b'\x42' * M, True, 'data')
        client.disconnect()
