#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names beyond 4096 bytes, with NUL or not UTF-8 are errors, not exports, and haggling goes on."""
import struct

from rawnbd import (ERR_UNKNOWN, OPT_GO, OPT_INFO, OPT_LIST_META, OPT_SET_META, REP_ERROR, Client,
                    eq, served)

BAD = b'x' * 4097, b'x' * 8192, b'x' * 100000, b'disk\0', b'\0', b'\xff\xfe'

with served('--export-name=disk') as server, Client(server) as client:
    client.negotiate_structured()
    for option in OPT_INFO, OPT_GO:
        final = client.option(option, struct.pack('>I', 4096) + b'y' * 4096 + b'\0\0')[-1][0]
        eq(hex(final), hex(ERR_UNKNOWN), 'the longest name')
        for name in BAD:
            replies = client.option(option, struct.pack('>I', len(name)) + name + b'\0\0')
            assert len(replies) == 1 and replies[0][0] & REP_ERROR, (option, name[:8], replies)
    for option in OPT_LIST_META, OPT_SET_META:
        for name in BAD:
            data = struct.pack('>I', len(name)) + name + struct.pack('>I', 0)
            replies = client.option(option, data)
            assert len(replies) == 1 and replies[0][0] & REP_ERROR, (option, name[:8], replies)
    client.go('disk').disconnect()
