#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""STARTTLS begins anew: structured replies and contexts of before are gone."""
from rawnbd import (BLOCK_STATUS, EINVAL, ERR_INVALID, M, OPT_LIST_META, OPT_SET_META, READ,
                    REP_ACK, SEND_DF, eq)
from rawtls import TlsClient, served_tls

with served_tls('--tls=on', size=M) as (server, ctx):
    with TlsClient(server) as client:
        client.negotiate_structured()
        eq(client.meta(OPT_SET_META, '', ['base:allocation'])[0], REP_ACK, 'SET_META_CONTEXT')
        client.starttls(ctx)
        client.structured = False
        eq(hex(client.meta(OPT_LIST_META)[0]), hex(ERR_INVALID), 'contexts need structured replies')
        client.go()
        eq(client.flags & SEND_DF, 0, 'NBD_FLAG_SEND_DF')
        eq(client.ok(READ, 0, 512).simple, True, 'a simple reply')
        eq(client.call(BLOCK_STATUS, 0, 512).error, EINVAL, 'BLOCK_STATUS')
        client.disconnect()
    with TlsClient(server) as client:
        client.negotiate_structured()
        client.meta(OPT_SET_META, '', ['base:allocation'])
        client.starttls(ctx).negotiate_structured()
        client.go()
        eq(client.call(BLOCK_STATUS, 0, 512).error, EINVAL, 'BLOCK_STATUS')
        client.disconnect()
