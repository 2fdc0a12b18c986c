#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The greeting: both magics, FIXED_NEWSTYLE and NO_ZEROES set, no other flag."""
from rawnbd import Client, eq, served

with served() as server:
    with Client(server) as client:
        eq(client.handshake_flags, 3, 'handshake flags')
        assert client.silent(), 'nothing follows the greeting unasked'
