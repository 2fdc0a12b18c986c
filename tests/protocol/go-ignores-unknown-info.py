#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Information requests that the server does not know are ignored, also by the hundred."""
from rawnbd import OPT_GO, REP_ACK, Client, eq, served

with served() as server:
    for requests in [4], [0xffff, 77, 3], list(range(4, 400)):
        with Client(server) as client:
            final, infos = client.info('', requests, OPT_GO)
            eq(final, REP_ACK, 'GO')
            assert set(infos) <= {0, 1, 2, 3}, infos
