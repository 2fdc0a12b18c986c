#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred connections at once are all served; one more after they left as well."""
from rawnbd import READ, connect, eq, served, still_serves

with served('--shared=0', data=bytes(range(256)) * 256) as server:
    clients = [connect(server, structured=i % 2 == 1) for i in range(100)]
    for client in clients:
        for i in range(8):
            client.request(READ, i * 256, 256)
    for client in clients:
        for _ in range(8):
            eq(bytes(client.receive()[1].data), bytes(range(256)), 'data')
    for i, client in enumerate(clients):
        if i % 2:
            client.disconnect()
        else:
            client.close()
    still_serves(server)
