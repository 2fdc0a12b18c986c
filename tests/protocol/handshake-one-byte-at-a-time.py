#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A handshake and a request that arrive byte by byte are understood."""
import struct

from rawnbd import (IHAVEOPT, INFO_BLOCK_SIZE, OPT_GO, READ, REP_ACK, Client, eq, info_data,
                    request_bytes, served)


def dribble(client, data):
    for i in range(len(data)):
        client.send(data[i:i + 1])


with served() as server, Client(server, client_flags=None) as client:
    data = info_data('', [INFO_BLOCK_SIZE])
    dribble(client, struct.pack('>I', 3))
    dribble(client, struct.pack('>QII', IHAVEOPT, OPT_GO, len(data)) + data)
    kind = None
    while kind != REP_ACK:
        kind, _ = client.option_reply(OPT_GO)
    dribble(client, request_bytes(READ, 512, 512, cookie=7))
    eq(client.read(16), struct.pack('>IIQ', 0x67446698, 0, 7), 'reply')
    eq(client.read(512), bytes(512), 'data')
