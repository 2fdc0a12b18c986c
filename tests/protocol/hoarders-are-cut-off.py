#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps the memory that others wait for, and moves nothing, is disconnected; others are not."""
from rawnbd import G, M, READ, WRITE, Closed, connect, eq, request_bytes, served, still_serves

with served('--max-memory=64M', '--image-opts', image=f'driver=null-co,size={G}',
            fmt=None) as server:
    idle = connect(server)
    takes_no_reply = connect(server)
    takes_no_reply.send(request_bytes(READ, 0, 8 * M) * 3)
    takes_no_reply.read(16)
    sends_no_data = connect(server)
    sends_no_data.send(request_bytes(WRITE, 0, 16 * M) + bytes(4096))
    with connect(server) as good:
        eq(good.pread(0, 32 * M) == bytes(32 * M), True, 'data')
        good.pwrite(0, bytes(32 * M))
        good.disconnect()
    sends_no_data.expect_close()
    try:
        while True:
            takes_no_reply.read(1)
    except Closed:
        pass
    eq(len(idle.pread(0, 512)), 512, 'an idle client stays')
    still_serves(server)
