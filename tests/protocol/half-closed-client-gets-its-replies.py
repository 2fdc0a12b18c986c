#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that will send nothing more (half a close) still gets all its replies."""
import socket

from rawnbd import M, READ, WRITE, eq, every_form, served

with served(size=M) as server:
    for client in every_form(server):
        for i in range(20):
            client.request(WRITE if i % 2 else READ, i * 16384, 16384,
                           data=bytes(16384 if i % 2 else 0))
        client.sock.shutdown(socket.SHUT_WR)
        for _ in range(20):
            eq(client.receive()[1].error, 0, 'error')
        client.expect_close()
