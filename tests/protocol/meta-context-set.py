#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SET_META_CONTEXT selects exact names only: no wildcard, no stranger, nothing for no query."""
from rawnbd import OPT_SET_META, REP_ACK, Client, eq, served

BASE = {'base:allocation'}

with served() as server, Client(server) as client:
    client.negotiate_structured()
    for queries, want in ((['base:allocation'], BASE), ([], set()), (['base:'], set()),
                          (['base:nonesuch'], set()), (['x-ours:allocation'], set()),
                          (['base:allocation', 'base:allocation'], BASE),
                          (['qemu:', 'base:allocation', 'base:'], BASE)):
        final, found = client.meta(OPT_SET_META, '', queries)
        eq((final, set(found)), (REP_ACK, want), repr(queries))
    client.go().disconnect()
