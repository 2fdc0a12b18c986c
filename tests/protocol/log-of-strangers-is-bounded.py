#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who sends garbage a thousand times gets a hundred lines a second; the rest is counted."""
import re
import time

from rawnbd import Client, eq, served

TRIES = 1000

with served(lives=False) as server:
    started = time.monotonic()
    for _ in range(TRIES):
        with Client(server, 1 << 31) as client:
            client.expect_close()
    seconds = time.monotonic() - started
    with Client(server) as client:
        client.go().disconnect()
    eq(server.stop(), 0, 'status')
    log = server.log()

lines = len(re.findall('unknown client flags', log))
suppressed = sum(map(int, re.findall(r'warning: (\d+) more like these were suppressed', log)))
eq(lines + suppressed, TRIES, 'all are counted')
eq(lines <= 100 * (seconds + 2), True, f'{lines} lines in {seconds} seconds')
eq(len(re.findall(': connected$', log, re.M)), 1, 'a good client is told of all the same')
