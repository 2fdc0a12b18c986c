#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A flag that is unknown, or not made for the command, is EINVAL; nothing is done."""
from rawnbd import (BLOCK_STATUS, CACHE, DF, EINVAL, FAST_ZERO, FLUSH, FUA, NO_HOLE, READ, REQ_ONE,
                    TRIM, WRITE, WRITE_ZEROES, connect, eq, served)

MADE_FOR = {READ: DF, WRITE: 0, FLUSH: 0, TRIM: 0, CACHE: 0, WRITE_ZEROES: NO_HOLE | FAST_ZERO,
            BLOCK_STATUS: REQ_ONE}
DATA = b'\x5a' * 4096

with served('--discard=unmap', data=DATA) as server:
    for structured in False, True:
        with connect(server, structured=structured, allocation=structured) as client:
            for cmd, valid in MADE_FOR.items():
                if cmd == BLOCK_STATUS and not structured:
                    continue
                for bit in range(16):
                    flags = 1 << bit
                    if flags & (valid | FUA):
                        continue
                    data = bytes(4096) if cmd == WRITE else b''
                    reply = client.call(cmd, 0, 0 if cmd == FLUSH else 4096, flags, data)
                    eq(reply.error, EINVAL, f'command {cmd} flags {flags:#x}')
            eq(client.pread(0, 4096), DATA, 'nothing was done')
            client.disconnect()
