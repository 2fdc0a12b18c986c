#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options that the server does not know get ERR_UNSUP, their data is skipped, haggling goes on."""
from rawnbd import ERR_UNSUP, OPT_PEEK, Client, eq, served

with served() as server, Client(server) as client:
    for option in 0, OPT_PEEK, 12, 99, 0x7fffffff, 0xffffffff:
        for data in b'', b'x', b'IHAVEOPT' * 8, bytes(10000):
            replies = client.option(option, data)
            eq([hex(kind) for kind, _ in replies], [hex(ERR_UNSUP)], f'option {option:#x}')
    client.go()
    client.disconnect()
