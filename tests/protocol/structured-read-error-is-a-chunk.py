#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An error of a READ is never a simple reply once structured replies were negotiated."""
from rawnbd import DF, EINVAL, FAST_ZERO, M, NO_HOLE, READ, connect, eq, served

with served(size=M) as server, connect(server, structured=True) as client:
    for offset, length, flags in ((M, 1, 0), (0, 512, NO_HOLE), (0, 512, FAST_ZERO | DF),
                                  (0, 512, 1 << 15), (1 << 63, 1 << 31, 0)):
        reply = client.call(READ, offset, length, flags)    # the client refuses simple replies
        eq((reply.error, reply.covered), (EINVAL, []), f'{offset:#x}+{length} {flags:#x}')
    client.disconnect()
