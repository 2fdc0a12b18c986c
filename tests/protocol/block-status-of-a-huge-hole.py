#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holes beyond 4 GiB are told in extents that fit in 32 bits and still add up."""
import os

from rawnbd import BLOCK_STATUS, G, HOLE, K, connect, eq, served, skip

SIZE = 20 * G
with served(size=SIZE) as server:
    with open(server.image, 'r+b') as f:
        os.pwrite(f.fileno(), b'\x10' * 64 * K, 13 * G)
        if os.lseek(f.fileno(), 0, os.SEEK_DATA) != 13 * G:
            skip('the file system does not tell holes')
    with connect(server, allocation=True) as client:
        at, data, calls = 0, 0, 0
        while at < SIZE:
            length = min(SIZE - at, 4 * G - 512)
            for size, status in client.ok(BLOCK_STATUS, at, length).extents.popitem()[1]:
                eq(at % 512, 0, 'extents are multiples of 512')
                data += 0 if status & HOLE else size
                at += size
            calls += 1
        eq((at, data), (SIZE, 64 * K), 'sum, data')
        assert calls < 20, f'{calls} calls'
        client.disconnect()
