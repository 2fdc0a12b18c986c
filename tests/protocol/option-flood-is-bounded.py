#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that sends options and reads no reply is not read beyond a bound."""
import select
import struct

from rawnbd import IHAVEOPT, M, OPT_LIST, Client, grew_less_than, rss, served

with served('--export-name=' + 'n' * 200) as server:
    Client(server).go('n' * 200).disconnect()
    before = rss(server)
    client = Client(server)
    client.sock.setblocking(False)
    flood = struct.pack('>QII', IHAVEOPT, OPT_LIST, 0) * 4096
    sent = 0
    try:
        while sent < 64 * M and select.select([], [client.sock], [], 1)[1]:
            sent += client.sock.send(flood[sent % 16:])
    except ConnectionError:
        pass                        # or the server calls it an attack
    assert sent < 64 * M, 'the server reads on although no reply is taken'
    grew_less_than(32 * M, server, before)
    Client(server).go('n' * 200).disconnect()
    client.close()
