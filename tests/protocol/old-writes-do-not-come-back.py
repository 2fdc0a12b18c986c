#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that lost its connection and comes again is served when its old writes are done."""
import time

from rawnbd import FLUSH, K, M, WRITE, Client, connect, eq, nbdtest, served, until_read

SLOW_NS = 600000000


def slow_writes(image):
    """Of what the client sends first, the write at 4096 takes its time."""
    return ('--image-opts', f'driver=blkdebug,image.driver=file,image.filename={image},'
            f'inject-error.0.sector=8,inject-error.0.iotype=write,inject-error.0.once=on,'
            f'inject-error.0.delay-ns={SLOW_NS}')


# The medium is slow: the newcomer waits for it.
disk = nbdtest.disk(M)
with served(*slow_writes(disk)[:-1], image=slow_writes(disk)[-1], fmt=None) as server:
    with connect(server) as bystander:
        with connect(server) as client:
            client.request(WRITE, 4096, 4096, data=b'o' * 4096)
            until_read(client)
        start = time.monotonic()
        with connect(server) as client:
            client.pwrite(4096, b'n' * 4096)
            assert time.monotonic() - start > SLOW_NS / 2e9, 'the newcomer did not wait'
            bystander.ok(FLUSH)
            eq(client.pread(4096, 4096) == b'n' * 4096, True, 'the newer data')
            client.disconnect()

# --throttle holds them back: what nobody waits for any more does not run later, nor holds up.
with served('--throttle=iops-write=2', '--shared=1', size=M) as server:
    with connect(server) as client:
        for i in range(40):
            client.request(WRITE, i * 4 * K, 4096, data=b'o' * 4096)
        until_read(client)
    start = time.monotonic()
    with connect(server) as client:             # in the only place there is
        assert time.monotonic() - start < 5, 'the newcomer waited for all of them'
        before = client.pread(0, 160 * K)
        assert before.count(b'o') < 16 * K, 'old writes ran at once'
        client.pwrite(0, b'n' * 4096)
        client.pwrite(512 * K, b'n' * 4096)     # its turn comes after theirs
        eq(client.pread(4096, 156 * K) == before[4096:], True, 'nothing else is written')
        eq(client.pread(0, 4096) == b'n' * 4096, True, 'the newer data')
        client.disconnect()
