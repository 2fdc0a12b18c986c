#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A thousand clients that stop at any point of the protocol: the others go on, and all is given back."""
import os
import resource
import struct

from rawnbd import (IHAVEOPT, K, M, OPT_GO, OPT_STRUCTURED, READ, WRITE, Client, connect, eq,
                    grew_less_than, info_data, nbdtest, request_bytes, rss, served, still_serves)

COUNT = 1000
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard < COUNT + 100:
    nbdtest.skip('too few file descriptors: %d' % hard)

go = info_data('', [0, 1, 2, 3])
conversation = (struct.pack('>I', 3) + struct.pack('>QII', IHAVEOPT, OPT_STRUCTURED, 0) +
                struct.pack('>QII', IHAVEOPT, OPT_GO, len(go)) + go +
                request_bytes(READ, 0, 256 * K) + request_bytes(WRITE, 0, 256 * K) + bytes(100))


def descriptors(server):
    return len(os.listdir(f'/proc/{server.proc.pid}/fd'))


with served('--max-clients=2000', '--payload-timeout=0', '--handshake-timeout=600',
            size=M) as server:
    resource.setrlimit(resource.RLIMIT_NOFILE, (COUNT + 100, hard))
    with connect(server) as good:
        good.pread(0, 4096)
        few, before = descriptors(server), rss(server)
        crowd = []
        for i in range(COUNT):
            client = Client(server, client_flags=None)
            client.send(conversation[:i % (len(conversation) + 1)])
            crowd.append(client)
            if i % 50 == 0:
                eq(len(good.pread(i * K, 4096)), 4096, 'read')
        eq(descriptors(server) >= few + COUNT, True, 'all of them are in')
        good.pwrite(0, b'x' * 4096)
        still_serves(server)
        for client in crowd:
            client.close()
        while descriptors(server) > few:
            eq(len(good.pread(0, 4096)), 4096, 'read')
        good.disconnect()
    grew_less_than(64 * M, server, before)
    still_serves(server)
