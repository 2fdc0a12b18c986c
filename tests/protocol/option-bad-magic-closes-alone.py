#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Garbage for an option magic closes that connection and no other."""
import struct

from rawnbd import OPT_LIST, REP_ACK, Client, eq, served

with served() as server, Client(server) as other:
    for garbage in bytes(16), b'GET / HTTP/1.1\r\n', struct.pack('>QII', 0x3e889045565a9, 3, 0):
        with Client(server) as client:
            client.send(garbage)
            client.expect_close()
    eq(other.option(OPT_LIST)[-1][0], REP_ACK, 'the other connection')
    other.go().disconnect()
