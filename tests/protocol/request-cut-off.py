#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request cut off anywhere, in its header or its data, costs nothing and writes nothing."""
from rawnbd import WRITE, connect, eq, request_bytes, served, still_serves

with served(data=b'\x31' * 65536) as server, connect(server) as other:
    whole = request_bytes(WRITE, 0, 65536) + bytes(65536)
    for cut in 1, 4, 27, 28, 29, 28 + 511, 28 + 4096, 28 + 32768, 28 + 65535:
        with connect(server) as client:
            client.send(whole[:cut])
    still_serves(server)
    eq(other.pread(0, 65536) == b'\x31' * 65536, True, 'the other client sees the old data')
    other.disconnect()
