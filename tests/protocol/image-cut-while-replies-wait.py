#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image that is cut short while replies wait to be sent: what is gone reads as zeroes."""
import os
import shutil

from rawnbd import DF, FLUSH, M, READ, connect, eq, served, skip, until_read

SHM = '/dev/shm'                        # reads from memory file systems are not copied
if not os.access(SHM, os.W_OK) or shutil.disk_usage(SHM).free < 64 * M:
    skip(f'{SHM} cannot be used')
path = os.path.join(SHM, f'nbd-export-test-{os.getpid()}')
try:
    with open(path, 'wb') as f:
        f.write(b'\x51' * 32 * M)
    with served(image=path) as server, connect(server, structured=True) as client:
        for i in range(32):
            client.request(READ, i * M, M, DF)
        until_read(client)
        os.truncate(path, 5 * M)
        for _ in range(32):
            reply = client.receive()[1]
            eq(reply.error, 0, 'error')
            if reply.offset < 5 * M:
                eq(reply.data == b'\x51' * M, True, 'data that is still there')
            else:
                eq(set(reply.data) <= {0x51, 0}, True, 'data')
        eq(client.pread(6 * M, M) == bytes(M), True, 'what was cut off')
        client.ok(FLUSH)
        client.disconnect()
finally:
    os.unlink(path)
