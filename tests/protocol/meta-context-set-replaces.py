#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each SET_META_CONTEXT replaces the selection before it, also when it fails."""
from rawnbd import (BLOCK_STATUS, EINVAL, OPT_SET_META, REP_ACK, REP_ERROR, Client, eq, served)

with served() as server:
    for second in ['', []], ['', ['base:']], ['nonesuch', ['base:allocation']], None:
        with Client(server) as client:
            client.negotiate_structured()
            eq(client.meta(OPT_SET_META, '', ['base:allocation'])[0], REP_ACK, 'first')
            if second is None:
                final, client.contexts = client.option(OPT_SET_META, b'\0\0\0\xff')[-1][0], {}
                assert final & REP_ERROR, 'malformed'
            else:
                client.meta(OPT_SET_META, *second)
            client.go()
            eq(client.call(BLOCK_STATUS, 0, 4096).error, EINVAL, f'after {second}')
            client.disconnect()
