#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps the memory that others wait for, and moves nothing, is disconnected; who moves is not."""
import select

from rawnbd import M, READ, WRITE, connect, eq, request_bytes, served, still_serves

with served('--max-memory=64M', data=b'\x51' * 8 * M) as server:
    takes_no_reply = connect(server)
    takes_no_reply.send(request_bytes(READ, 0, 8 * M) * 4)
    sends_no_data = connect(server)
    sends_no_data.send(request_bytes(WRITE, 0, 8 * M) + bytes(4096))
    idle = connect(server)
    with connect(server) as good:
        for _ in range(3):
            good.send(request_bytes(READ, 0, 8 * M) * 7)
            for _ in range(7):                  # takes its time, but takes them
                eq(good.read(16)[4:8], bytes(4), 'error')
                select.select([], [], [], 0.01)
                eq(good.read(8 * M) == b'\x51' * 8 * M, True, 'data')
        good.disconnect()
    sends_no_data.expect_close()
    eq(len(idle.pread(0, 512)), 512, 'an idle client stays')
    still_serves(server)
