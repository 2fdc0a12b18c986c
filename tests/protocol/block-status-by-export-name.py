#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A meta context also holds for a client that enters by EXPORT_NAME."""
from rawnbd import BLOCK_STATUS, OPT_SET_META, REP_ACK, Client, eq, served

with served('--export-name=disk', size=65536) as server, Client(server) as client:
    client.negotiate_structured()
    eq(client.meta(OPT_SET_META, 'disk', ['base:allocation'])[0], REP_ACK, 'SET')
    client.export_name('disk')
    extents = next(iter(client.ok(BLOCK_STATUS, 0, 65536).extents.values()))
    eq(sum(n for n, _ in extents), 65536, 'sum')
    client.disconnect()
