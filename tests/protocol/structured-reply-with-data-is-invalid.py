#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""STRUCTURED_REPLY takes no data: ERR_INVALID, and nothing was negotiated."""
from rawnbd import ERR_INVALID, OPT_STRUCTURED, SEND_DF, Client, eq, served

with served() as server, Client(server) as client:
    eq([hex(kind) for kind, _ in client.option(OPT_STRUCTURED, b'x')], [hex(ERR_INVALID)],
       'STRUCTURED_REPLY with data')
    client.go()
    eq(client.flags & SEND_DF, 0, 'SEND_DF')
    assert client.ok(0, 0, 512).data == bytes(512)      # the client refuses structured replies
    client.disconnect()
