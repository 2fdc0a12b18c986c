#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of connections, ended in every way, leave no descriptor and little memory behind."""
import os

from rawnbd import (M, READ, WRITE, Client, connect, grew_less_than, request_bytes, rss, served,
                    still_serves)


def descriptors(server):
    return len(os.listdir(f'/proc/{server.proc.pid}/fd'))


def visit(server, i):
    if i % 4 == 0:
        connect(server, structured=True).disconnect()
    elif i % 4 == 1:
        Client(server).close()
    elif i % 4 == 2:
        with connect(server) as client:         # leaves without its replies
            client.send(request_bytes(READ, 0, 65536) * 20)
    else:
        with connect(server) as client:         # leaves in the midst of a request
            client.send(request_bytes(WRITE, 0, 65536) + bytes(1000))


with served(size=M) as server:
    for i in range(40):
        visit(server, i)
    still_serves(server)
    before = rss(server)
    for i in range(400):
        visit(server, i)
    with connect(server) as last:
        want = None
        while want != descriptors(server) or want > 40:     # the last of them may just be closing
            want = descriptors(server)
            last.pread(0, 512)
        grew_less_than(24 * M, server, before)
        last.disconnect()
