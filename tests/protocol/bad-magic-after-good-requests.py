#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests before a wrong magic are answered before the server closes."""
from rawnbd import READ, connect, eq, request_bytes, served

with served(data=b'\x61' * 4096) as server, connect(server) as client:
    for _ in range(8):
        client.request(READ, 0, 4096)
    client.send(request_bytes(READ, 0, 512, magic=0))
    for _ in range(8):
        eq(client.receive()[1].data, b'\x61' * 4096, 'data')
    client.expect_close()
