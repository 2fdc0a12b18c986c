#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GO or INFO of no such export: ERR_UNKNOWN, no information before it, haggling goes on."""
from rawnbd import ERR_UNKNOWN, OPT_GO, OPT_INFO, Client, eq, served

with served('--export-name=disk') as server, Client(server) as client:
    for option in OPT_INFO, OPT_GO:
        for name in 'nonesuch', 'disk ', 'diskdisk', 'dis':
            final, infos = client.info(name, [0, 1, 2, 3], option)
            eq((hex(final), infos), (hex(ERR_UNKNOWN), {}), name)
    client.go('disk').disconnect()
