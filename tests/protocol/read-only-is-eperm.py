#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""On a read-only export whatever writes is EPERM, its data is skipped, the image unharmed."""
from rawnbd import (EPERM, FLUSH, FUA, M, READ_ONLY, TRIM, WRITE, WRITE_ZEROES, eq, every_form,
                    served)

with served('--read-only', '--discard=unmap', data=b'\xab' * M) as server:
    for client in every_form(server):
        assert client.flags & READ_ONLY, 'READ_ONLY'
        for flags in 0, FUA:
            eq(client.call(WRITE, 0, 65536, flags, bytes(65536)).error, EPERM, 'WRITE')
            eq(client.call(WRITE_ZEROES, 0, 65536, flags).error, EPERM, 'WRITE_ZEROES')
            eq(client.call(TRIM, 0, 65536, flags).error, EPERM, 'TRIM')
        client.ok(FLUSH)
        eq(client.pread(0, M) == b'\xab' * M, True, 'data')
        client.disconnect()
    with open(server.image, 'rb') as f:
        eq(f.read() == b'\xab' * M, True, 'file')
