#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps the memory that others wait for, and moves nothing, is disconnected; others are not."""
import select

from rawnbd import G, M, READ, WRITE, connect, eq, request_bytes, served, still_serves

ENDLESS = f'driver=null-co,size={G}'


def gone(*clients):
    """The server has closed one of the connections."""
    poll = select.poll()
    for client in clients:
        poll.register(client.sock, select.POLLRDHUP)
    return bool(poll.poll(0))


with served('--max-memory=64M', '--image-opts', image=ENDLESS, fmt=None) as server:
    idle = connect(server)
    takes_no_reply = connect(server)
    takes_no_reply.send(request_bytes(READ, 0, 8 * M) * 8)      # all that there is
    with connect(server) as good:
        while not gone(takes_no_reply):         # more than once where ours comes before its
            eq(good.pread(0, 32 * M) == bytes(32 * M), True, 'data')
        good.disconnect()

    send_no_data = [connect(server) for _ in range(2)]
    for client in send_no_data:
        client.send(request_bytes(WRITE, 0, 32 * M) + bytes(4096))
    with connect(server) as good:
        while not gone(*send_no_data):
            good.pwrite(0, bytes(32 * M))
        good.disconnect()

    eq(len(idle.pread(0, 512)), 512, 'an idle client stays')
    still_serves(server)
