#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Meta contexts of no such export: ERR_UNKNOWN, and haggling goes on."""
from rawnbd import ERR_UNKNOWN, OPT_LIST_META, OPT_SET_META, Client, eq, served

with served('--export-name=disk') as server, Client(server) as client:
    client.negotiate_structured()
    for option in OPT_LIST_META, OPT_SET_META:
        final, found = client.meta(option, 'nonesuch', ['base:allocation'])
        eq((hex(final), found), (hex(ERR_UNKNOWN), {}), f'option {option}')
    client.go('disk').disconnect()
