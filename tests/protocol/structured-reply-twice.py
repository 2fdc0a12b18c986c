#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second STRUCTURED_REPLY is acknowledged or ERR_INVALID; structured replies stay on."""
from rawnbd import ERR_INVALID, OPT_STRUCTURED, READ, REP_ACK, Client, served

with served() as server, Client(server) as client:
    client.negotiate_structured()
    replies = client.option(OPT_STRUCTURED)
    assert len(replies) == 1 and replies[0][0] in (REP_ACK, ERR_INVALID), replies
    client.go()
    assert not client.ok(READ, 0, 512).simple
    client.disconnect()
