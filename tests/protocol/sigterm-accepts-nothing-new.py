#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While the server drains, newcomers are refused and new requests get ESHUTDOWN or no answer."""
import signal

from rawnbd import (ESHUTDOWN, G, READ, WRITE, Closed, connect, eq, refused, served,
                    until, until_read)

SLOW = f'driver=null-co,size={G},latency-ns=2000000000'
with served('--image-opts', image=SLOW, fmt=None, lives=False) as server:
    with connect(server) as client:
        client.request(WRITE, 0, 4096, data=bytes(4096))
        until_read(client)
        server.proc.send_signal(signal.SIGTERM)
        until(lambda: refused(server), 'the server to listen no more')
        errors = []
        try:
            client.request(READ, 0, 512)
            while client.pending:
                errors.append(client.receive()[1].error)
        except (Closed, ConnectionError):
            pass
        assert errors in ([0], [0, ESHUTDOWN], [ESHUTDOWN, 0]), errors
    eq(server.wait(), 0, 'exit status')
