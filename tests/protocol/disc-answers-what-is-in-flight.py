#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""DISC with requests in flight: all are carried out and answered, then the server closes."""
from rawnbd import DISC, G, WRITE, connect, eq, served

SLOW = f'driver=null-co,size={G},latency-ns=50000000'
with served('--image-opts', image=SLOW, fmt=None) as server:
    for structured in False, True:
        with connect(server, structured=structured) as client:
            for i in range(24):
                client.request(WRITE, i * 4096, 4096, data=bytes(4096))
            client.request(DISC)
            for _ in range(24):
                eq(client.receive()[1].error, 0, 'error')
            client.expect_close()
with served(size=1 << 20) as server:
    with connect(server) as client:
        for i in range(64):
            client.request(WRITE, i * 4096, 4096, data=bytes([i + 1]) * 4096)
        client.request(DISC)
        for _ in range(64):
            client.receive()
        client.expect_close()
    with open(server.image, 'rb') as f:
        eq(f.read(64 * 4096) == b''.join(bytes([i + 1]) * 4096 for i in range(64)), True, 'data')
