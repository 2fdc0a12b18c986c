#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Of an export's limit a client with many requests in flight gets no more than one with one; and
neither does one with many connections."""
import select

from rawnbd import K, READ, connect, eq, served, socket_of_another

SIZE, TOTAL = 16 * K, 44
RATE = 40


def answered(socks):
    """Those that have a reply; waits for one."""
    ready = select.select(socks, [], [], 60)[0]
    assert ready, 'nobody gets a reply'
    return ready


def shares(users):
    """Each user is a list of (client, depth); how many of TOTAL reads each has got.  What came while a
    busy machine kept this test from answering counts as one for each that has got any of it: whoever
    has nothing more in flight has had no turn meanwhile."""
    of = {client.sock: (client, i) for i, user in enumerate(users) for client, _ in user}
    done = [0] * len(users)
    for user in users:
        for client, depth in user:
            for _ in range(depth):
                client.request(READ, 0, SIZE)
    while sum(done) < TOTAL:
        got = set()
        ready = answered(list(of))
        while ready:
            for sock in ready:
                client, i = of[sock]
                eq(client.receive()[1].error, 0, 'error')
                client.request(READ, 0, SIZE)
                got.add(i)
            ready = select.select(list(of), [], [], 0)[0]
        for i in got:
            done[i] += 1
    return done


def assert_fair(one, many):
    """First come, first served would give 1 of 33, and 1 of 5; a busy machine keeps `one` from
    asking in time now and then."""
    assert one >= 0.35 * many and many >= 0.35 * one, f'shares of {TOTAL}: {one} and {many}'


with served(f'--throttle=iops-read={RATE}') as server:
    with connect(server) as one, connect(socket_of_another(server)) as many:
        assert_fair(*shares([[(one, 1)], [(many, 32)]]))

# Four connections of this process, one of another one; large requests limited by their bytes.
with served(f'--throttle=bps-read={RATE * SIZE}') as server:
    with connect(socket_of_another(server)) as one, connect(server) as a, connect(server) as b, \
            connect(server) as c, connect(server) as d:
        assert_fair(*shares([[(one, 2)], [(a, 2), (b, 2), (c, 2), (d, 2)]]))
