#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""EXTENDED_HEADERS: acknowledged, with data INVALID; after it STRUCTURED_REPLY is refused,
EXPORT_NAME ends the connection, and every reply has the extended header."""
from rawnbd import (BLOCK_STATUS_PAYLOAD, ERR_EXT_HEADER_REQD, ERR_INVALID, FLUSH, INFO_EXPORT,
                    OPT_EXTENDED, OPT_EXPORT_NAME, OPT_STRUCTURED, REP_ACK, SEND_DF, Client, eq,
                    served)

with served() as server:
    with Client(server) as client:
        replies = client.option(OPT_EXTENDED, b'x')
        eq([hex(kind) for kind, _ in replies], [hex(ERR_INVALID)], 'with data')
        client.negotiate_structured().negotiate_extended()
        replies = client.option(OPT_STRUCTURED)
        eq([hex(kind) for kind, _ in replies], [hex(ERR_EXT_HEADER_REQD)], 'a step back')
        client.negotiate_extended()
        # Without a context there is nothing to filter; before GO there may be one yet.
        final, infos = client.info()
        eq(final, REP_ACK, 'INFO')
        flags = int.from_bytes(infos[INFO_EXPORT][8:], 'big')
        eq(flags & (SEND_DF | BLOCK_STATUS_PAYLOAD), SEND_DF | BLOCK_STATUS_PAYLOAD, 'flags of INFO')
        client.go()
        assert client.flags & SEND_DF, 'SEND_DF'
        client.pwrite(512, b'a' * 512)
        eq(bytes(client.pread(0, 1024)), bytes(512) + b'a' * 512, 'data')
        eq(client.ok(FLUSH).simple, False, 'not a simple reply')
        eq(client.ok(0, 0, 0).data, None, 'an empty read')
        client.disconnect()
    with Client(server) as client:
        client.negotiate_extended()
        client.send_option(OPT_EXPORT_NAME)
        client.expect_close()
