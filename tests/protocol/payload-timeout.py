#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--payload-timeout ends who stops inside a request, drips bytes or takes no replies: no others."""
import select

from rawnbd import M, READ, WRITE, connect, eq, request_bytes, served


def gone(client):
    try:
        while client.sock.recv(1 << 20):
            pass
    except ConnectionError:
        pass
    return True


with served('--payload-timeout=1', '--max-clients=20', size=8 * M) as server:
    header = request_bytes(WRITE, 0, 8 * M)
    idle, good = connect(server), connect(server)
    half_header, half_payload, drips, takes_none = (connect(server) for _ in range(4))
    half_header.send(header[:5])
    half_payload.send(header + bytes(M))
    drips.send(header)
    for _ in range(8):
        takes_none.send(request_bytes(READ, 0, 8 * M))
    dripping = True
    while dripping:                         # a little now and then is not enough
        eq(len(good.pread(0, 4096)), 4096, 'read')
        try:
            drips.send(bytes(100))
            dripping = not select.select([drips.sock], [], [], 0.05)[0]
        except OSError:
            dripping = False
    for client in half_header, half_payload, drips, takes_none:
        assert gone(client)
    eq(server.log().count('--payload-timeout'), 4, server.log())
    for client in idle, good:
        eq(len(client.pread(0, 4096)), 4096, 'read')
        client.disconnect()

with served('--payload-timeout=0', size=8 * M) as server:
    with connect(server) as client:
        client.send(header)
        eq(select.select([client.sock], [], [], 0.2)[0], [], 'nothing ends it')
