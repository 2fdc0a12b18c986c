#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An option that announces 4 GiB of data neither fills the memory nor hurts others."""
from rawnbd import (M, OPT_GO, OPT_LIST, OPT_SET_META, Client, grew_less_than, rss, served,
                    still_serves)

with served() as server:
    still_serves(server)
    before = rss(server)
    clients = []
    for option in OPT_GO, OPT_LIST, OPT_SET_META, 99:
        client = Client(server)
        clients.append(client)
        client.send_option(option, length=0xffffffff)
        try:
            for _ in range(4):
                client.send(bytes(M))
        except ConnectionError:
            pass                    # the server may call it an attack
    still_serves(server)
    grew_less_than(32 * M, server, before)
    for client in clients:
        client.close()
