#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GO right after INFO with the same parameters gives the same information."""
from rawnbd import OPT_GO, REP_ACK, Client, eq, served

with served('--description=words') as server:
    for structured in False, True:
        for requests in (), (3,), (0, 1, 2, 3), (2, 1):
            with Client(server) as client:
                if structured:
                    client.negotiate_structured()
                first = client.info('', requests)
                eq(first[0], REP_ACK, 'INFO')
                eq(client.info('', requests, OPT_GO), first, 'GO after INFO')
