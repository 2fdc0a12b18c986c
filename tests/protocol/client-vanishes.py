#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that leaves requests in flight behind costs nothing; what the server got it does."""
from rawnbd import FLUSH, G, READ, WRITE, connect, served, still_serves, until_read

SLOW = f'driver=null-co,size={G},latency-ns=100000000'
with served('--image-opts', image=SLOW, fmt=None) as server:
    for _ in range(4):
        with connect(server) as client:
            for i in range(64):
                client.request(READ if i % 2 else WRITE, 0, 4096, data=bytes(0 if i % 2 else 4096))
            until_read(client)
    still_serves(server)

with served(size=1 << 20) as server:
    with connect(server) as client:
        for i in range(64):
            client.request(WRITE, i * 4096, 4096, data=b'\x0f' * 4096)
        until_read(client)
    with connect(server) as client:
        client.ok(FLUSH)
        while client.pread(0, 64 * 4096) != b'\x0f' * 64 * 4096:
            pass                                # the last of them may still be on their way
        client.disconnect()
