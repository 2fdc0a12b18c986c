#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several meta contexts of an export: listed by wildcards, selected together, answered with one
chunk each, whose extents agree with what was written."""
import os
import subprocess

from rawnbd import (BLOCK_STATUS, K, M, OPT_LIST_META, OPT_SET_META, REP_ACK, REQ_ONE, Client,
                    connect, eq, nbdtest, served)

BASE, DEPTH = 'base:allocation', 'qemu:allocation-depth'
BITMAPS = ['qemu:dirty-bitmap:a', 'qemu:dirty-bitmap:a:b']
QEMU = {DEPTH, *BITMAPS}

image = nbdtest.path('disk.qcow2')
blk_img = os.path.join(os.path.dirname(nbdtest.NBD_EXPORT), 'blk-img')
for args in (['create', '-q', '-f', 'qcow2', image, '1M'],
             ['bitmap', '--add', '-g', '64k', image, 'a'], ['bitmap', '--add', image, 'a:b']):
    subprocess.run([blk_img, *args], check=True)
with served(image=image, fmt='qcow2') as server, connect(server) as client:
    client.pwrite(128 * K, bytes(range(256)) * 256)
    client.disconnect()
subprocess.run([blk_img, 'bitmap', '--disable', image, 'a:b'], check=True)
with served(image=image, fmt='qcow2') as server, connect(server) as client:
    client.pwrite(512 * K, b'x' * 512)
    client.disconnect()

with served('--read-only', '-A', '-B', 'a', '-B', 'a:b', image=image, fmt='qcow2') as server:
    with Client(server) as client:
        client.negotiate_structured()
        for queries, listed in (([], {BASE, *QEMU}), (['qemu:'], QEMU),
                                (['qemu:dirty-bitmap:'], set(BITMAPS)), (['base:', DEPTH],
                                {BASE, DEPTH}), (['qemu:dirty-bitmap:a'], {BITMAPS[0]}),
                                ([':'], None), (['qemu:dirty-bitmap:a\0:b'], set()),
                                (['qemu:dirty-bitmap:a:b' + '\0' * 40], set()),
                                (['qemu:allocation-depth:'], set()), (['qemu'], None)):
            final, found = client.meta(OPT_LIST_META, '', queries)
            if listed is None:
                eq(final == REP_ACK, False, repr(queries))
                continue
            eq((final, set(found)), (REP_ACK, listed), repr(queries))
        for queries in ['qemu:'], ['qemu:dirty-bitmap:'], ['qemu:dirty-bitmap:c']:
            eq(client.meta(OPT_SET_META, '', queries), (REP_ACK, {}), repr(queries))
        client.go().disconnect()
    want = {BASE: [(128 * K, 3), (64 * K, 0), (320 * K, 3), (64 * K, 0), (448 * K, 3)],
            DEPTH: [(128 * K, 0), (64 * K, 1), (320 * K, 0), (64 * K, 1), (448 * K, 0)],
            BITMAPS[0]: [(128 * K, 0), (64 * K, 1), (320 * K, 0), (64 * K, 1), (448 * K, 0)],
            BITMAPS[1]: [(128 * K, 0), (64 * K, 1), (832 * K, 0)]}
    for extended in False, True:
        with connect(server, contexts=list(want), extended=extended) as client:
            got = client.ok(BLOCK_STATUS, 0, M).extents
            eq({client.contexts[i]: extents for i, extents in got.items()}, want, 'all of it')
            got = client.ok(BLOCK_STATUS, 129 * K, M - 129 * K, REQ_ONE).extents
            eq({client.contexts[i]: extents for i, extents in got.items()},
               {BASE: [(63 * K, 0)], DEPTH: [(63 * K, 1)], BITMAPS[0]: [(63 * K, 1)],
                BITMAPS[1]: [(63 * K, 1)]}, 'one each')
            client.disconnect()
