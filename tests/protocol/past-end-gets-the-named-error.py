#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests beyond the end get the error that proto.md names and the connection goes on."""
from rawnbd import (BLOCK_STATUS, CACHE, EINVAL, ENOSPC, M, READ, TRIM, WRITE, WRITE_ZEROES,
                    connect, eq, served)

NAMED = {READ: EINVAL, TRIM: EINVAL, CACHE: EINVAL, BLOCK_STATUS: EINVAL,
         WRITE: ENOSPC, WRITE_ZEROES: ENOSPC}
END = 1 << 64
RANGES = ((M, 512), (M - 512, 1024), (0, M + 4096), (M + 4096, 512), (1 << 40, 512),
          ((1 << 63) - 512, 512), (1 << 63, 512), (END - 512, 512), (END - 512, 1024),
          (END - M, M + 4096))

with served(size=M, data=b'\xaa' * M) as server:
    for structured in False, True:
        with connect(server, structured=structured, allocation=structured) as client:
            for cmd, error in NAMED.items():
                if cmd == BLOCK_STATUS and not structured:
                    continue
                for offset, length in RANGES:
                    data = bytes(length if cmd == WRITE else 0)
                    reply = client.call(cmd, offset, length, data=data)
                    eq(reply.error, error, f'command {cmd} at {offset:#x}+{length:#x}')
            eq(client.pread(0, M), b'\xaa' * M, 'nothing was changed')
            client.disconnect()
    with open(server.image, 'rb') as f:
        eq(len(f.read()), M, 'the file has not grown')
