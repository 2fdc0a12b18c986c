#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Meta context options whose lengths do not add up get ERR_INVALID."""
import struct

from rawnbd import ERR_INVALID, OPT_LIST_META, OPT_SET_META, Client, eq, meta_data, served

with served('--export-name=disk') as server, Client(server) as client:
    client.negotiate_structured()
    good = meta_data('disk', ['base:allocation'])
    name = struct.pack('>I', 4) + b'disk'
    for option in OPT_LIST_META, OPT_SET_META:
        for data in (b'', good[:3], good[:7], good[:8], good[:11], good[:14], good[:20], good[:-1],
                     good + b'x', struct.pack('>I', 0xffffffff) + b'disk',
                     name + struct.pack('>I', 2) + struct.pack('>I', 15) + b'base:allocation',
                     name + struct.pack('>I', 0xffffffff),
                     name + struct.pack('>II', 1, 0xffffffff) + b'base:allocation',
                     name + struct.pack('>II', 1, 16) + b'base:allocation'):
            replies = client.option(option, data)
            eq([hex(kind) for kind, _ in replies], [hex(ERR_INVALID)], f'{option} {data!r}')
    client.go('disk').disconnect()
