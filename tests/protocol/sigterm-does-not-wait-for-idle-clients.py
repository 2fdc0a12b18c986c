#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that only hold a connection, in whatever phase, do not delay the end of the server."""
import signal
import time

from rawnbd import WRITE, Client, connect, eq, request_bytes, served

with served(lives=False) as server:
    with Client(server, client_flags=None), Client(server) as haggling, connect(server), \
            connect(server) as half:
        haggling.send(b'IHAVE')
        half.send(request_bytes(WRITE, 0, 4096) + b'half')
        start = time.monotonic()
        server.proc.send_signal(signal.SIGTERM)
        eq(server.wait(), 0, 'exit status')
        took = time.monotonic() - start
        assert took < 5, f'{took:.1f} s'
