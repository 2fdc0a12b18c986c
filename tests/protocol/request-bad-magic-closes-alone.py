#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wrong request magic closes that connection and no other."""
from rawnbd import READ, connect, eq, request_bytes, served

with served(data=b'kept') as server, connect(server) as other:
    for magic in 0, 0x12560953, 0x25609514, 0x21e41c71, 0x67446698, 0xffffffff:
        with connect(server) as client:
            client.send(request_bytes(READ, 0, 512, magic=magic))
            client.expect_close()
    for garbage in b'\0' * 28, b'\xff' * 28, b'GET / HTTP/1.1\r\nHost: example\r\n\r\n':
        with connect(server) as client:
            client.send(garbage)
            client.expect_close()
    eq(other.pread(0, 4), b'kept', 'data')
    other.disconnect()
