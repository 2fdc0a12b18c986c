#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""At SIGTERM, requests that --throttle would hold back for weeks are done, and answered."""
from rawnbd import READ, connect, eq, served, until_read

with served('--throttle=bps-total=1', lives=False) as server:
    with connect(server) as client:
        for i in range(8):
            client.request(READ, i * 4096, 4096)
        until_read(client)
        server.proc.terminate()
        for _ in range(8):
            eq(client.receive()[1].error, 0, 'error')
        client.expect_close()
    eq(server.wait(), 0, 'exit status')
