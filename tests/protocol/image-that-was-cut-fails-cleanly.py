#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image that was cut: clients that connect are told the smaller size; then requests past it are
refused to all, and the image stays as short as it is."""
import os

from rawnbd import (BLOCK_STATUS, CACHE, EINVAL, ENOSPC, M, READ, TRIM, WRITE, WRITE_ZEROES,
                    connect, eq, served)

with served(data=b'd' * 4 * M) as server:
    with connect(server, extended=True, allocation=True) as old:
        old.pread(3 * M, M)
        os.truncate(server.image, M)
        with connect(server) as new:
            eq(new.size, M, 'the new size')
        for offset, length in (M, 1), (M - 1, 2), (3 * M, M), (0, 4 * M):
            for cmd, error in ((READ, EINVAL), (WRITE, ENOSPC), (TRIM, EINVAL), (CACHE, EINVAL),
                               (WRITE_ZEROES, ENOSPC), (BLOCK_STATUS, EINVAL)):
                data = bytes(length if cmd == WRITE else 0)
                eq(old.call(cmd, offset, length, data=data).error, error, f'{cmd} {offset}')
        eq(os.path.getsize(server.image), M, 'nothing has made it longer')
        eq(bytes(old.pread(M - 512, 512)), b'd' * 512, 'what is left')
        os.truncate(server.image, 0)
        with connect(server) as new:
            eq(new.size, 0, 'nothing left')
        eq(old.call(READ, 0, 512).error, EINVAL, 'nothing left')
        old.disconnect()
