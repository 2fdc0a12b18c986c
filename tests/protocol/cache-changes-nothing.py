#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CACHE succeeds where it was announced, returns no data and changes nothing."""
from rawnbd import CACHE, M, SEND_CACHE, eq, every_form, served

with served(data=b'\x23' * M) as server:
    for client in every_form(server):
        assert client.flags & SEND_CACHE, 'SEND_CACHE'
        for offset, length in (0, 512), (0, M), (4096, 65536), (M - 512, 512):
            client.ok(CACHE, offset, length)
        eq(client.pread(0, M) == b'\x23' * M, True, 'data')
        client.disconnect()
