#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thousands of requests that the medium is slow to answer do not bring the server down."""
from rawnbd import G, READ, connect, eq, request_bytes, served, still_serves

SLOW = f'driver=null-co,size={G},latency-ns=500000000'
with served('--image-opts', image=SLOW, fmt=None) as server:
    clients = [connect(server) for _ in range(140)]
    for client in clients:
        client.send(request_bytes(READ, 0, 512) * 256)
    for client in clients:
        for _ in range(256):
            eq(len(client.read(16 + 512)), 528, 'reply')
        client.close()
    still_serves(server)
