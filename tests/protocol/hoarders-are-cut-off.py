#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps the memory that others wait for, and moves nothing, is disconnected; others are not."""
import select

from rawnbd import (G, M, READ, TIMEOUT, WRITE, connect, eq, request_bytes, served, still_serves,
                    until_read)


def one_is_cut_off(clients):
    poll = select.poll()
    for client in clients:
        poll.register(client.sock, select.POLLRDHUP)
    assert poll.poll(TIMEOUT * 1000), 'nobody was disconnected'


def hoarders(server, requests):
    clients = [connect(server) for _ in range(4)]
    for client in clients:
        client.send(requests)
        until_read(client)
    return clients


with served('--max-memory=64M', '--image-opts', image=f'driver=null-co,size={G}',
            fmt=None) as server:
    idle = connect(server)
    take_no_reply = hoarders(server, request_bytes(READ, 0, 8 * M) * 3)
    with connect(server) as good:
        eq(good.pread(0, 32 * M) == bytes(32 * M), True, 'data')
        one_is_cut_off(take_no_reply)
        good.disconnect()
    for client in take_no_reply:
        client.close()

    send_no_data = hoarders(server, request_bytes(WRITE, 0, 16 * M) + bytes(4096))
    with connect(server) as good:
        good.pwrite(0, bytes(32 * M))
        one_is_cut_off(send_no_data)
        good.disconnect()

    eq(len(idle.pread(0, 512)), 512, 'an idle client stays')
    still_serves(server)
