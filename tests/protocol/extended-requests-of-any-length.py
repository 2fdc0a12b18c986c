#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lengths of 64 bits: zeroes, trims, cache and status beyond 4 GiB work; ranges past the end and
those that overflow get the named error, whatever the command."""
from rawnbd import (BLOCK_STATUS, CACHE, EINVAL, ENOSPC, EOVERFLOW, G, M, READ, TRIM,
                    WRITE_ZEROES, connect, eq, served)

SIZE = 10 * G
HUGE = 1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 4096, SIZE + 1

with served('--discard=unmap', size=SIZE) as server:
    with connect(server, extended=True, allocation=True) as client:
        client.pwrite(7 * G, b'x' * M)
        eq(client.ok(BLOCK_STATUS, 0, SIZE).extents[1],
           [(7 * G, 3), (M, 0), (3 * G - M, 3)], 'the whole disk in one reply')
        client.ok(WRITE_ZEROES, 6 * G + 5, 4 * G - 5)
        eq(client.pread(7 * G, M), bytes(M), 'zeroed')
        client.pwrite(9 * G, b'x' * M)
        client.ok(TRIM, 512, SIZE - 512)
        eq(client.ok(BLOCK_STATUS, 0, SIZE).extents[1], [(SIZE, 3)], 'trimmed')
        client.ok(CACHE, 0, SIZE)
        eq(client.call(READ, 0, 5 * G).error, EOVERFLOW, 'a read is bounded by a payload')
        for cmd, error in ((READ, EINVAL), (TRIM, EINVAL), (CACHE, EINVAL), (BLOCK_STATUS, EINVAL),
                           (WRITE_ZEROES, ENOSPC)):
            for length in HUGE:
                for offset in 0, 1, 4096, SIZE, 1 << 63, (1 << 64) - 1:
                    eq(client.call(cmd, offset, length).error, error, f'{cmd} {offset} {length}')
        client.disconnect()
