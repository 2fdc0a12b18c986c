#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGTERM or SIGINT with 24 writes in flight: all 24 are answered, then the server ends with 0."""
import signal

from rawnbd import G, WRITE, connect, eq, served, until_read

SLOW = f'driver=null-co,size={G},latency-ns=500000000'
for signum in signal.SIGTERM, signal.SIGINT:
    for structured in False, True:
        with served('--image-opts', image=SLOW, fmt=None, lives=False) as server:
            with connect(server, structured=structured) as client, connect(server) as idle:
                for i in range(24):
                    client.request(WRITE, i * 4096, 4096, data=bytes(4096))
                until_read(client)
                server.proc.send_signal(signum)
                for _ in range(24):
                    eq(client.receive()[1].error, 0, 'error')
                client.expect_close()
                idle.expect_close()
            eq(server.wait(), 0, 'exit status')
