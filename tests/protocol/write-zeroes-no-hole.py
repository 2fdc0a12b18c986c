#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""NO_HOLE leaves the range allocated, without it and with --discard=unmap holes may be made."""
import os

from rawnbd import M, NO_HOLE, WRITE_ZEROES, connect, eq, served

with served('--discard=unmap', size=8 * M) as server, connect(server) as client:
    client.pwrite(0, b'\x44' * 4 * M)
    client.ok(WRITE_ZEROES, 0, 8 * M, NO_HOLE)
    fd = os.open(server.image, os.O_RDONLY)
    os.fsync(fd)
    assert os.fstat(fd).st_blocks * 512 >= 8 * M, os.fstat(fd).st_blocks
    os.close(fd)
    eq(client.pread(0, 8 * M) == bytes(8 * M), True, 'zeroes')
    client.disconnect()
