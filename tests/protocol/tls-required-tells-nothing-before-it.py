#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where TLS is required, nothing but STARTTLS and ABORT has an effect without it."""
from rawnbd import (ERR_INVALID, ERR_TLS_REQD, IHAVEOPT, K, OPT_ABORT, OPT_EXPORT_NAME,
                    OPT_EXTENDED, OPT_GO, OPT_INFO, OPT_LIST, OPT_LIST_META, OPT_PEEK,
                    OPT_SET_META, OPT_STARTTLS, OPT_STRUCTURED, REP_ACK, eq, info_data, meta_data)
from rawtls import TlsClient, served_tls

OPTIONS = [
    (OPT_LIST, b''), (OPT_LIST, b'data'), (OPT_PEEK, b''), (OPT_STRUCTURED, b''),
    (OPT_EXTENDED, b''), (OPT_INFO, info_data('shelf')), (OPT_INFO, info_data('nothing')),
    (OPT_GO, info_data('shelf')), (OPT_GO, info_data('')), (OPT_GO, b'malformed'),
    (OPT_LIST_META, meta_data('shelf')), (OPT_SET_META, meta_data('shelf', ['base:allocation'])),
    (12345, b''), (OPT_GO, bytes(100 * K)),
]

with served_tls('--export-name=shelf') as (server, ctx):
    with TlsClient(server) as client:
        for option, data in OPTIONS:
            (kind, text), = client.option(option, data)
            eq(hex(kind), hex(ERR_TLS_REQD), f'option {option} without TLS')
            assert b'shelf' not in text, text
        client.starttls(ctx)
        (kind, _), = client.option(OPT_STARTTLS)
        eq(hex(kind), hex(ERR_INVALID), 'a second STARTTLS')
        client.go('shelf').disconnect()

    for flags in 3, 0:                  # fixed newstyle, and not even that
        with TlsClient(server, client_flags=flags) as client:
            client.send_option(OPT_EXPORT_NAME, b'shelf')
            client.expect_close()
    with TlsClient(server) as client:
        eq(client.option(OPT_ABORT), [(REP_ACK, b'')], 'ABORT')
        client.expect_close()
    with TlsClient(server) as client:
        client.send(IHAVEOPT.to_bytes(8, 'big') + OPT_GO.to_bytes(4, 'big') + b'\xff' * 4)
        client.expect_close()           # a flood is not told more either
