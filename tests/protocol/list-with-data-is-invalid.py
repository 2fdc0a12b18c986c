#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""LIST takes no data: ERR_INVALID, the data is skipped, haggling goes on."""
from rawnbd import ERR_INVALID, OPT_LIST, REP_ACK, Client, eq, served

with served() as server, Client(server) as client:
    for data in b'x', b'IHAVEOPT', bytes(5000):
        eq([hex(kind) for kind, _ in client.option(OPT_LIST, data)], [hex(ERR_INVALID)], 'LIST')
    eq(client.option(OPT_LIST)[-1][0], REP_ACK, 'LIST without data')
