#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""BLOCK_STATUS without a selected meta context is EINVAL."""
from rawnbd import BLOCK_STATUS, EINVAL, REQ_ONE, eq, every_form, served

with served() as server:
    for client in every_form(server):
        for flags in 0, REQ_ONE:
            eq(client.call(BLOCK_STATUS, 0, 4096, flags).error, EINVAL, 'BLOCK_STATUS')
        eq(client.pread(0, 512), bytes(512), 'the connection goes on')
        client.disconnect()
