#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors of structured replies come as error chunks with a text for a human."""
from rawnbd import (EINVAL, ENOSPC, EPERM, M, READ, TRIM, WRITE, WRITE_ZEROES, connect, eq, served)

with served(size=M) as server, connect(server, structured=True) as client:
    for cmd, offset, length, flags, error in ((READ, M, 512, 0, EINVAL), (WRITE, M, 512, 0, ENOSPC),
                                              (WRITE_ZEROES, M, 512, 0, ENOSPC),
                                              (TRIM, M, 512, 0, EINVAL), (99, 0, 0, 0, EINVAL),
                                              (READ, 0, 512, 1 << 9, EINVAL)):
        reply = client.call(cmd, offset, length, flags, bytes(512 if cmd == WRITE else 0))
        eq(reply.error, error, f'command {cmd}')
        assert reply.message and not reply.simple, f'command {cmd} has no text'
    client.disconnect()
with served('--read-only', size=M) as server, connect(server, structured=True) as client:
    reply = client.call(WRITE, 0, 512, 0, bytes(512))
    eq(reply.error, EPERM, 'write to a read-only export')
    assert reply.message, 'no text'
