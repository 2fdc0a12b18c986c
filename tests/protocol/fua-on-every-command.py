#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""FUA is accepted on every command, as proto.md asks of a server that announces it."""
from rawnbd import (BLOCK_STATUS, CACHE, FLUSH, FUA, READ, TRIM, WRITE, WRITE_ZEROES, connect, eq,
                    served)

with served('--discard=unmap') as server:
    for structured in False, True:
        with connect(server, structured=structured, allocation=structured) as client:
            eq(client.ok(WRITE, 0, 512, FUA, b'\x01' * 512).error, 0, 'WRITE')
            eq(client.ok(READ, 0, 512, FUA).data, b'\x01' * 512, 'READ')
            for cmd in FLUSH, TRIM, CACHE, WRITE_ZEROES:
                client.ok(cmd, 0, 0 if cmd == FLUSH else 4096, FUA)
            if structured:
                client.ok(BLOCK_STATUS, 0, 4096, FUA)
            client.disconnect()
