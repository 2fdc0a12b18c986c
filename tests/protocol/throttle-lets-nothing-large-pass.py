#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request that is larger than the limits takes the time that it must, in turns with others'."""
import time

from rawnbd import (M, READ, WRITE_ZEROES, connect, eq, nbdtest, qmptest, socket_of_another,
                    until_read)

RATE = 4 * M
FREE = 0.2              # seconds' worth that may go at once

image = nbdtest.disk(64 * M)
with qmptest.Server(['--format=raw', f'--throttle=bps-total={RATE}', image]) as server, \
        server.qmp() as qmp, connect(server) as large, connect(socket_of_another(server)) as small:
    for command, size in ((READ, 5 * M), (WRITE_ZEROES, 2 * M)):
        start = time.monotonic()
        large.request(command, 0, size)
        until_read(large)
        small.ok(READ, 0, 4096)
        before = qmp.cmd('x-query-throttle', id='')
        took = time.monotonic() - start
        if took < size / RATE - FREE:       # and not because the machine was busy elsewhere
            eq(sum(c['waiting'] for c in before['clients']), 1, 'the large one waits')
        eq(large.receive()[1].error, 0, 'error')
        took = time.monotonic() - start
        assert took > size / RATE - FREE - 0.01, f'{size} bytes took {took} seconds'

    after = qmp.cmd('x-query-throttle', id='')
    assert after['waits'] >= 2 and after['wait-ns'] > (7 * M / RATE - 2 * FREE - 0.02) * 1e9, after
    eq(sum(c['waits'] for c in after['clients']), after['waits'], after)
    eq(sum(c['wait-ns'] for c in after['clients']), after['wait-ns'], after)
    large.disconnect()
    small.disconnect()
