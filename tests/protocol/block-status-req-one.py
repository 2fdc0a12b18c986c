#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""REQ_ONE gets exactly one extent, no longer than asked, and enough calls walk the export."""
import os

from rawnbd import BLOCK_STATUS, M, REQ_ONE, connect, eq, served

with served(size=8 * M) as server:
    with open(server.image, 'r+b') as f:
        for at in 1, 3, 4:
            os.pwrite(f.fileno(), b'\x10' * M, at * M)
    with connect(server, allocation=True) as client:
        at = 0
        while at < 8 * M:
            extents = next(iter(client.ok(BLOCK_STATUS, at, 8 * M - at, REQ_ONE).extents.values()))
            eq(len(extents), 1, 'extents')
            at += extents[0][0]
        eq(at, 8 * M, 'sum')
        extents = next(iter(client.ok(BLOCK_STATUS, 0, 512, REQ_ONE).extents.values()))
        eq(extents[0][0], 512, 'no longer than asked')
        client.disconnect()
