#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests of one connection run side by side, not one after the other."""
import time

from rawnbd import G, READ, connect, served

SLOW = f'driver=null-co,size={G},latency-ns=200000000'
with served('--image-opts', image=SLOW, fmt=None) as server, connect(server) as client:
    start = time.monotonic()
    for i in range(64):
        client.request(READ, i * 4096, 4096)
    for _ in range(64):
        client.receive()
    took = time.monotonic() - start
    assert took < 6, f'64 requests of 0.2 s took {took:.1f} s: one after the other'
    client.disconnect()
