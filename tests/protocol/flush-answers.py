#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""FLUSH succeeds, also in the midst of writes, and says nothing but that."""
from rawnbd import FLUSH, WRITE, eq, every_form, served

with served() as server:
    for client in every_form(server):
        client.ok(FLUSH)
        for i in range(16):
            client.request(WRITE, i * 4096, 4096, data=bytes([i]) * 4096)
            client.request(FLUSH)
        for _ in range(32):
            eq(client.receive()[1].error, 0, 'error')
        client.disconnect()
