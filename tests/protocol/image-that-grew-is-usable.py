#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image that grew: clients that connect, and INFO, tell the new size; those that are connected
may use what is new."""
import os

from rawnbd import (BLOCK_STATUS, ENOSPC, INFO_EXPORT, M, TRIM, WRITE, Client, connect, eq, served)

with served(size=M) as server:
    with connect(server, extended=True, allocation=True) as old, Client(server) as waiting:
        eq(old.size, M, 'size')
        eq(old.call(WRITE, M, 512, data=bytes(512)).error, ENOSPC, 'past the end')
        os.truncate(server.image, 2 * M)
        old.pwrite(2 * M - 512, b'n' * 512)
        eq(bytes(old.pread(M - 512, 1024)), bytes(1024), 'across the old end')
        old.ok(TRIM, M, M)
        eq(sum(n for n, _ in old.ok(BLOCK_STATUS, 0, 2 * M).extents[1]), 2 * M, 'all of it')
        os.truncate(server.image, 3 * M)
        size = waiting.info()[1][INFO_EXPORT][:8]
        eq(int.from_bytes(size, 'big'), 3 * M, 'INFO')
        os.truncate(server.image, 4 * M)
        eq(waiting.go().size, 4 * M, 'GO')
        os.truncate(server.image, 5 * M)
        with Client(server) as late:
            eq(late.export_name().size, 5 * M, 'EXPORT_NAME')
        old.pwrite(5 * M - 1, b'e')
        eq(old.call(WRITE, 5 * M, 1, data=b'e').error, ENOSPC, 'past the end')
        old.disconnect()
