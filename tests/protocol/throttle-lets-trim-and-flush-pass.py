#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While reads and writes wait for --throttle, trims and flushes are answered."""
from rawnbd import FLUSH, READ, TRIM, WRITE, WRITE_ZEROES, connect, eq, served

with served('--throttle=iops-total=2') as server, connect(server) as client:
    first = client.request(READ, 0, 4096)
    eq(client.receive()[0], first, 'who may go at once')
    held = [client.request(READ, 0, 4096), client.request(WRITE, 0, 4096, data=bytes(4096)),
            client.request(WRITE_ZEROES, 0, 4096)]
    passing = [client.request(TRIM, 0, 4096), client.request(FLUSH)]
    answered = [client.receive()[0] for _ in range(5)]
    eq(sorted(answered[:2]), sorted(passing), 'answered first')
    eq(sorted(answered[2:]), sorted(held), 'answered in the end')
    client.disconnect()
