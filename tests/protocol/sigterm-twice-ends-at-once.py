#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second SIGTERM ends the server at once, whatever is still in flight."""
import signal
import time

from rawnbd import G, WRITE, connect, refused, served, until, until_read

SLOW = f'driver=null-co,size={G},latency-ns=60000000000'
with served('--image-opts', '--drain-timeout=60', image=SLOW, fmt=None, lives=False) as server:
    with connect(server) as client:
        client.request(WRITE, 0, 4096, data=bytes(4096))
        until_read(client)
        server.proc.send_signal(signal.SIGTERM)
        until(lambda: refused(server), 'the server to listen no more')
        assert server.proc.poll() is None, 'it waits for the write'
        start = time.monotonic()
        server.proc.send_signal(signal.SIGTERM)
        server.wait()
        took = time.monotonic() - start
        assert took < 15, f'{took:.1f} s'
    server.proc.returncode = 0      # which status it then has is its own choice
