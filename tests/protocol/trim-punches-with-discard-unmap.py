#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TRIM gives blocks back with --discard=unmap and leaves them alone with --discard=ignore."""
import os

from rawnbd import M, TRIM, connect, eq, served


def allocated(server):
    return os.stat(server.image).st_blocks * 512


for discard in 'unmap', 'ignore':
    with served(f'--discard={discard}', data=b'\x99' * 8 * M) as server, connect(server) as client:
        fd = os.open(server.image, os.O_RDONLY)
        os.fsync(fd)                        # blocks are counted once they are allocated
        os.close(fd)
        client.ok(TRIM, 2 * M, 4 * M)
        eq(client.pread(0, 2 * M) == b'\x99' * 2 * M, True, 'before')
        eq(client.pread(6 * M, 2 * M) == b'\x99' * 2 * M, True, 'after')
        if discard == 'unmap':
            assert allocated(server) <= 5 * M, allocated(server)
            eq(client.pread(2 * M, 4 * M) == bytes(4 * M), True, 'a punched hole reads as zeroes')
        else:
            assert allocated(server) >= 8 * M, allocated(server)
        client.ok(TRIM, 0, 8 * M)
        client.disconnect()
