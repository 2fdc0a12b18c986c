#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--drain-timeout bounds the wait for what is in flight."""
import signal
import time

from rawnbd import G, WRITE, connect, served, until_read

SLOW = f'driver=null-co,size={G},latency-ns=60000000000'
with served('--image-opts', '--drain-timeout=1', image=SLOW, fmt=None, lives=False) as server:
    with connect(server) as client:
        client.request(WRITE, 0, 4096, data=bytes(4096))
        until_read(client)
        start = time.monotonic()
        server.proc.send_signal(signal.SIGTERM)
        server.wait()
        took = time.monotonic() - start
        assert 0.9 < took < 20, f'{took:.1f} s'
    server.proc.returncode = 0      # which status it then has is its own choice
