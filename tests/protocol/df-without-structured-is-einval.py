#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""DF on a READ without structured replies is EINVAL."""
from rawnbd import DF, EINVAL, READ, connect, eq, served

with served() as server, connect(server) as client:
    eq(client.call(READ, 0, 512, DF).error, EINVAL, 'DF')
    eq(client.pread(0, 512), bytes(512), 'the connection goes on')
    client.disconnect()
