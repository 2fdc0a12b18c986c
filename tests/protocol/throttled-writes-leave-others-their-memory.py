#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes that wait for --throttle, of whatever size, do not take the memory of other exports."""
import threading

from controlled import Server, export
from rawnbd import M, WRITE, connect, eq, until


def write_much(client, requests):
    for size in requests:
        client.request(WRITE, 0, size, data=bytes(size))


SIZES = 3 * [[24 * M, 24 * M], [M // 4] * 80]

with Server(['--max-memory=64M', '--threads=1', export('fast', size=64 * M),
             export('slow', 'throttle.bps-write=1000', size=64 * M)]) as server, \
        server.qmp() as qmp:
    clients = [connect(server, name='slow') for _ in SIZES]
    threads = [threading.Thread(target=write_much, args=args) for args in zip(clients, SIZES)]
    for thread in threads:
        thread.start()
    until(lambda: min(c['throttled'] for c in qmp.cmd('x-query-clients', export='slow')) > 0,
          'a write of each to wait')
    with connect(server, name='fast') as other:
        other.pwrite(0, bytes(32 * M))
        for c in qmp.cmd('x-query-clients', export='slow'):
            assert c['memory'] <= 2 * M, c
    limits = 'bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr'
    qmp.cmd('block_set_io_throttle', **dict.fromkeys(limits, 0), id='slow')
    for thread in threads:
        thread.join()
    for client, sizes in zip(clients, SIZES):
        for _ in sizes:
            eq(client.receive()[1].error, 0, 'error')
        client.close()
