#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A query of 4096 bytes is ignored or refused, one beyond is refused or ignored, never selected."""
from rawnbd import OPT_LIST_META, OPT_SET_META, REP_ACK, REP_ERROR, Client, eq, served

with served() as server, Client(server) as client:
    client.negotiate_structured()
    for option in OPT_LIST_META, OPT_SET_META:
        for query in 'x-ours:' + 'q' * 4089, 'x-ours:' + 'q' * 4090, 'base:' + 'a' * 60000:
            final, found = client.meta(option, '', [query])
            eq(found, {}, 'nothing is found')
            assert final == REP_ACK or final & REP_ERROR, hex(final)
        final, found = client.meta(option, '', ['x-ours:a'] * 200 + ['base:allocation'])
        assert final != REP_ACK or 'base:allocation' in found, 'many queries'
    client.go().disconnect()
