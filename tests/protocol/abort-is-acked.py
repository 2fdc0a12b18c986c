#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ABORT is acknowledged, with data or without, and the server closes after it."""
from rawnbd import OPT_ABORT, REP_ACK, Client, eq, served, still_serves

with served() as server:
    for data in b'', b'farewell', bytes(2000):
        with Client(server) as client:
            eq(client.option(OPT_ABORT, data), [(REP_ACK, b'')], 'ABORT')
            client.expect_close()
    with Client(server) as client:          # does not wait for the answer
        client.send_option(OPT_ABORT)
    still_serves(server)
