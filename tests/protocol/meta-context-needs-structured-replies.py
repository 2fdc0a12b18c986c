#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SET of meta contexts before STRUCTURED_REPLY gets ERR_INVALID, LIST may get it."""
from rawnbd import ERR_INVALID, OPT_LIST_META, OPT_SET_META, REP_ACK, Client, eq, served

with served() as server, Client(server) as client:
    final, found = client.meta(OPT_SET_META, '', ['base:allocation'])
    eq((hex(final), found), (hex(ERR_INVALID), {}), 'SET')
    assert client.meta(OPT_LIST_META, '', [])[0] in (REP_ACK, ERR_INVALID), 'LIST'
    client.negotiate_structured()
    eq(client.meta(OPT_SET_META, '', ['base:allocation'])[0], REP_ACK, 'after it')
