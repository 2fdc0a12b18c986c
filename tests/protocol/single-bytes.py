#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the minimum block size is 1, single bytes and odd ranges are read and written exactly."""
import random
import struct

from rawnbd import INFO_BLOCK_SIZE, K, Client, eq, served, skip

with served(size=64 * K) as server, Client(server) as client:
    client.go('', [INFO_BLOCK_SIZE])
    if struct.unpack('>I', client.go_info[INFO_BLOCK_SIZE][:4])[0] != 1:
        skip('the minimum block size is not 1')
    rng = random.Random(1)
    image = bytearray(64 * K)
    for _ in range(300):
        offset = rng.randrange(64 * K)
        length = min(rng.choice([1, 1, 2, 3, 511, 513, 4097, 9999]), 64 * K - offset)
        if rng.random() < 0.5:
            data = rng.randbytes(length)
            image[offset:offset + length] = data
            client.pwrite(offset, data)
        else:
            eq(client.pread(offset, length), image[offset:offset + length], f'{offset}+{length}')
    eq(client.pread(0, 64 * K), image, 'the whole')
