#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""With extended headers a block status may name the contexts that it is about; what is malformed,
unknown or named twice is EINVAL, and its bytes are skipped."""
import struct

from rawnbd import (BLOCK_STATUS, BLOCK_STATUS_PAYLOAD, EINVAL, M, PAYLOAD_LEN, REQ_ONE, Reply,
                    connect, eq, extended_bytes, served)


def refused(client, data):
    client.pending[7] = Reply(BLOCK_STATUS, 0, len(data), 0)
    client.send(extended_bytes(BLOCK_STATUS, 0, len(data), PAYLOAD_LEN, 7) + data)
    eq(client.receive()[1].error, EINVAL, repr(data[:40]))


with served('--allocation-depth') as server:
    both = ['base:allocation', 'qemu:allocation-depth']
    with connect(server, extended=True, contexts=both) as client:
        assert client.flags & BLOCK_STATUS_PAYLOAD, 'BLOCK_STATUS_PAYLOAD'
        allocation, depth = sorted(client.contexts, key=client.contexts.get)
        eq(client.ok(BLOCK_STATUS, 0, M).extents, {allocation: [(M, 3)], depth: [(M, 1)]}, 'all')
        for ids in [allocation], [depth], [depth, allocation]:
            for flags in 0, REQ_ONE:
                reply = client.status_of(512, M - 512, ids, flags)
                eq((reply.error, set(reply.extents)), (0, set(ids)), 'only these')
        eq(client.status_of(0, M + 1, [depth]).error, EINVAL, 'past the end')
        eq(client.status_of(0, 1 << 63, [depth]).error, EINVAL, 'far past the end')
        eq(client.status_of(0, 0, [depth]).error, EINVAL, 'about nothing')
        good = struct.pack('>QI', M, depth)
        for data in (good[:1], good[:4], good[:8], good[:11], good + b'x', good + good[8:],
                     struct.pack('>QI', M, 0), struct.pack('>QI', M, 99),
                     struct.pack('>QII', M, allocation, 0xffffffff),
                     struct.pack('>Q', M) + good[8:] * 33, good * 2000, good * M):
            refused(client, data)
        client.ok(BLOCK_STATUS, 0, M)
        client.disconnect()
    with connect(server, extended=True, contexts=['base:allocation']) as client:
        refused(client, struct.pack('>QI', M, depth))
        refused(client, struct.pack('>QII', M, allocation, depth))
        client.disconnect()
