#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GO and INFO whose lengths do not add up get ERR_INVALID and haggling goes on."""
import struct

from rawnbd import ERR_INVALID, OPT_GO, OPT_INFO, Client, eq, info_data, served

with served('--export-name=disk') as server, Client(server) as client:
    good = info_data('disk', [3])
    for option in OPT_INFO, OPT_GO:
        for data in (b'', b'\0', good[:3], good[:4], good[:6], good[:8], good[:9], good[:11],
                     good + b'\0', good + b'\0\0',
                     struct.pack('>I', 5) + b'disk' + struct.pack('>HH', 1, 3),
                     struct.pack('>I', 0xffffffff) + b'disk' + struct.pack('>HH', 1, 3),
                     struct.pack('>I', 0xfffffffa) + b'disk' + struct.pack('>HH', 1, 3),
                     struct.pack('>I', 4) + b'disk' + struct.pack('>HH', 2, 3),
                     struct.pack('>I', 4) + b'disk' + struct.pack('>HH', 0xffff, 3)):
            replies = client.option(option, data)
            eq([hex(kind) for kind, _ in replies], [hex(ERR_INVALID)], f'{option} {data!r}')
    client.go('disk', [3]).disconnect()
