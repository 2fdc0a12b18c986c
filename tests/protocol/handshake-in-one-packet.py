#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Flags, options and requests that arrive in one packet are all answered, in order."""
import struct

from rawnbd import (IHAVEOPT, OPT_GO, OPT_LIST, OPT_STRUCTURED, READ, REP_ACK, REP_INFO,
                    REP_SERVER, Client, eq, info_data, request_bytes, served)


def option(code, data=b''):
    return struct.pack('>QII', IHAVEOPT, code, len(data)) + data


with served(data=b'abcd') as server, Client(server, client_flags=None) as client:
    client.send(struct.pack('>I', 3) + option(OPT_LIST) + option(99, b'junk') +
                option(OPT_STRUCTURED) + option(OPT_GO, info_data('')) +
                request_bytes(READ, 0, 4, cookie=11))
    eq(client.option_reply(OPT_LIST)[0], REP_SERVER, 'LIST')
    eq(client.option_reply(OPT_LIST)[0], REP_ACK, 'LIST')
    eq(client.option_reply(99)[0], (1 << 31) + 1, 'unknown option')
    eq(client.option_reply(OPT_STRUCTURED)[0], REP_ACK, 'STRUCTURED_REPLY')
    kind = REP_INFO
    while kind == REP_INFO:
        kind, _ = client.option_reply(OPT_GO)
    eq(kind, REP_ACK, 'GO')
    eq(client.read(4), struct.pack('>I', 0x668e33ef), 'a structured reply follows')
    flags, kind, cookie, length = struct.unpack('>HHQI', client.read(16))
    eq((kind, cookie, length), (1, 11, 12), 'chunk')
    eq(client.read(12), bytes(8) + b'abcd', 'data')
