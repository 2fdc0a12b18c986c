#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--throttle-client holds for each client by itself, over all of its connections together."""
import time

from rawnbd import READ, connect, eq, served, socket_of_another

RATE, COUNT = 20, 24
MUST = (COUNT - 3) / RATE - 0.01        # three of them may go at once

with served(f'--throttle-client=iops-read={RATE}') as server:
    with connect(server) as a, connect(server) as also_a, \
            connect(socket_of_another(server)) as b:
        start = time.monotonic()
        for _ in range(COUNT // 2):
            a.request(READ, 0, 4096)
            also_a.request(READ, 0, 4096)
        for _ in range(COUNT):
            b.request(READ, 0, 4096)
        for client in [a, also_a] * (COUNT // 2) + [b] * COUNT:
            eq(client.receive()[1].error, 0, 'error')
            if client is b and 'a_done' not in locals():
                a_done = time.monotonic() - start
        b_done = time.monotonic() - start
        assert a_done > MUST and b_done > MUST, f'{COUNT} took {a_done} and {b_done} seconds'

# Each on its own: the one that uses up all it may does not hold up the other.
with served('--throttle-client=iops-read=1') as server:
    with connect(server) as a, connect(socket_of_another(server)) as b:
        for _ in range(100):
            a.request(READ, 0, 4096)
        eq(a.receive()[1].error, 0, 'error')
        b.ok(READ, 0, 4096)
        b.disconnect()

# Who comes back finds what it has used up.
with served('--throttle-client=iops-read=10') as server:
    start = time.monotonic()
    for _ in range(4):
        with connect(server) as a:
            for _ in range(2):
                a.ok(READ, 0, 4096)
            a.disconnect()
    took = time.monotonic() - start
    assert took > 0.5, f'8 took {took} seconds'
