#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client that has gone waits for under --throttle: writes are done if it said goodbye."""
from rawnbd import (DISC, K, M, READ, WRITE, connect, eq, nbdtest, qmptest, request_bytes,
                    until, until_read)

image = nbdtest.disk(M)


def clients(qmp):
    return qmp.cmd('x-query-throttle', id='')['clients']


def until_gone(qmp):
    until(lambda: not clients(qmp), 'the client to be forgotten')


def image_has(offset, byte):
    with open(image, 'rb') as f:
        f.seek(offset)
        return f.read(4096) == byte * 4096


with qmptest.Server(['--format=raw', '--throttle=bps-read=1,iops-write=20', image]) as server, \
        server.qmp() as qmp:
    # Gone without a word: nobody waits for any of that, which would take weeks ...
    with connect(server) as client:
        client.request(READ, 0, 4096)
        until_read(client)
    until_gone(qmp)

    # ... or ten seconds.
    with connect(server) as client:
        for _ in range(8):
            client.request(READ, 0, 4096)
        for i in range(200):
            client.request(WRITE, i * 4 * K, 4096, data=b'x' * 4096)
        until_read(client)
    until_gone(qmp)
    eq(image_has(199 * 4 * K, b'x'), False, 'the last write was not done')

    # With a word: the writes, in their turn, but not the reads.
    with connect(server) as client:
        for _ in range(8):
            client.request(READ, 0, 4096)
        for i in range(10):
            client.request(WRITE, i * 4 * K, 4096, data=b'y' * 4096)
        client.send(request_bytes(DISC))
        until_read(client)
    until_gone(qmp)
    for i in range(10):
        eq(image_has(i * 4 * K, b'y'), True, f'write {i}')
