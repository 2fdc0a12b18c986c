#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGTERM with encrypted writes in flight: all are answered, then the server ends with 0."""
import signal

from rawnbd import G, WRITE, eq, until_read
from rawtls import connect_tls, served_tls

SLOW = f'driver=null-co,size={G},latency-ns=300000000'
with served_tls('--image-opts', image=SLOW, fmt=None, lives=False) as (server, ctx), \
        connect_tls(server, ctx) as client, connect_tls(server, ctx) as idle:
    for i in range(24):
        client.request(WRITE, i * 4096, 4096, data=bytes(4096))
    until_read(client)
    server.proc.send_signal(signal.SIGTERM)
    for _ in range(24):
        eq(client.receive()[1].error, 0, 'error')
    client.expect_close()
    idle.expect_close()
    eq(server.wait(), 0, 'exit status')
