#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""INFO does not enter transmission: options go on, and another export can be chosen."""
from rawnbd import OPT_LIST, REP_ACK, Client, eq, served

with served() as server, Client(server) as client:
    for _ in range(3):
        eq(client.info('')[0], REP_ACK, 'INFO')
        assert client.silent(), 'nothing follows the ACK'
        eq(client.option(OPT_LIST)[-1][0], REP_ACK, 'LIST')
    client.go()
    assert client.silent(), 'no padding follows the ACK of GO'
    eq(client.pread(0, 512), bytes(512), 'data')
