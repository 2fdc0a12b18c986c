#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""LIST_META_CONTEXT: all without a query, base: as a wildcard, exact names, no strangers."""
from rawnbd import OPT_LIST_META, REP_ACK, Client, eq, served

BASE = {'base:allocation'}

with served() as server, Client(server) as client:
    client.negotiate_structured()
    for queries, want in (([], BASE), (['base:'], BASE), (['base:allocation'], BASE),
                          (['base:', 'base:allocation'], BASE), (['base:nonesuch'], set()),
                          (['x-ours:', 'qemu:dirty-bitmap:b0', 'nbd-server:x'], set()),
                          (['x-ours:a', 'base:allocation'], BASE),
                          (['base:allocation2'], set()), (['base:alloc'], set())):
        final, found = client.meta(OPT_LIST_META, '', queries)
        eq((final, set(found)), (REP_ACK, want), repr(queries))
    client.go().disconnect()
