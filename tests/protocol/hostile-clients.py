#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of clients that send anything, take little and leave anyhow: the others are served."""
import random
import time

from rawnbd import (FLUSH, M, OPT_STRUCTURED, WRITE, Client, Closed, connect, eq, info_data, rss,
                    request_bytes, served, still_serves)

SECONDS = 4
LENGTHS = 0, 1, 512, 4096, 5000, 70000, 300000, 2 * M, 33 * M, (1 << 32) - 1


def haggle(client, rng):
    for _ in range(rng.randrange(4)):
        option = rng.choice([OPT_STRUCTURED, OPT_STRUCTURED, *range(12), rng.getrandbits(32)])
        data = rng.choice([b'', rng.randbytes(rng.randrange(100)), info_data('', [0, 3])])
        client.send_option(option, data, rng.choice([None] * 9 + [rng.getrandbits(32)]))
    client.send_option(7, info_data(''))


def transmit(client, rng):
    for _ in range(rng.randrange(60)):
        cmd = rng.choice([0, 0, 0, 1, 1, 1, 3, 4, 5, 6, 7, rng.getrandbits(16)])
        length, offset = rng.choice(LENGTHS), rng.randrange(200 * M)
        if cmd == FLUSH:
            length = offset = 0
        data = rng.randbytes(1) * min(length, 3 * M) if cmd == WRITE else b''
        flags = rng.choice([0, 0, 0, 1, 2, 4, 8, 16, rng.getrandbits(16)])
        client.send(request_bytes(cmd, offset, length, flags, rng.getrandbits(64)) + data)
        if rng.random() < 0.02:
            client.send(rng.randbytes(rng.randrange(1, 40)))
        if rng.random() < 0.3:
            client.sock.recv(rng.randrange(1, 200000))


with served('--discard=unmap', size=200 * M) as server:
    with connect(server) as good:
        rng = random.Random(5)
        end = time.monotonic() + SECONDS
        visitors = []
        while time.monotonic() < end:
            try:
                client = Client(server)
                client.sock.settimeout(0.05)
                visitors.append(client)
                haggle(client, rng)
                transmit(client, rng)
            except (OSError, Closed):
                pass
            while len(visitors) > 20:           # the others stay a while, as they are
                visitors.pop(rng.randrange(len(visitors))).close()
            eq(len(good.pread(rng.randrange(199 * M), 4096)), 4096, 'read')
        for client in visitors:
            client.close()
        good.ok(FLUSH)
        good.disconnect()
    assert rss(server) < 1024 * M, f'{rss(server)} bytes'
    still_serves(server)
