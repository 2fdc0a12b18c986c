#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The transmission flags say what the server can do: SEND_DF only with structured replies,
SEND_FLUSH only where something can be left to flush."""
from rawnbd import (CAN_MULTI_CONN, HAS_FLAGS, READ_ONLY, ROTATIONAL, SEND_CACHE, SEND_DF,
                    SEND_FAST_ZERO, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES, Client,
                    eq, every_form, served)

WRITABLE = SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_CACHE | SEND_FAST_ZERO

with served() as server:
    for client in every_form(server):
        df = SEND_DF if client.structured else 0
        eq(client.flags & ~ROTATIONAL, HAS_FLAGS | WRITABLE | CAN_MULTI_CONN | df, 'flags')
    with Client(server) as client:
        client.negotiate_structured()
        assert client.export_name().flags & SEND_DF, 'also by EXPORT_NAME'
for cache in 'writethrough', 'directsync':
    with served('--cache=' + cache) as server:
        for client in every_form(server):
            df = SEND_DF if client.structured else 0
            eq(client.flags & ~ROTATIONAL,
               HAS_FLAGS | (WRITABLE & ~SEND_FLUSH) | CAN_MULTI_CONN | df, cache)
with served('--read-only') as server:
    for client in every_form(server):
        assert client.flags & READ_ONLY, 'READ_ONLY'
        assert client.flags & CAN_MULTI_CONN, 'CAN_MULTI_CONN'
        eq(bool(client.flags & SEND_DF), client.structured, 'SEND_DF')
