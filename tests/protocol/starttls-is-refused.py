#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server without TLS refuses STARTTLS, with data or without, and goes on in the clear."""
from rawnbd import (ERR_INVALID, ERR_PLATFORM, ERR_POLICY, ERR_UNSUP, OPT_STARTTLS, Client, served)

with served() as server, Client(server) as client:
    for data in b'', b'\x16\x03\x01':
        replies = client.option(OPT_STARTTLS, data)
        allowed = [ERR_UNSUP, ERR_POLICY, ERR_PLATFORM] + ([ERR_INVALID] if data else [])
        assert len(replies) == 1 and replies[0][0] in allowed, replies
    client.go().disconnect()
