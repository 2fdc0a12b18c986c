#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image that is no multiple of a sector is exported to its last byte, or by whole blocks."""
import struct

from rawnbd import INFO_BLOCK_SIZE, Client, eq, served

SIZE = 10007
with served(data=b'\x3c' * SIZE, size=SIZE) as server, Client(server) as client:
    client.negotiate_structured().go('', [INFO_BLOCK_SIZE])
    least = struct.unpack('>I', client.go_info[INFO_BLOCK_SIZE][:4])[0]
    eq(client.size % least, 0, 'a multiple of the minimum block size')
    assert SIZE - least < client.size < SIZE + 512, client.size
    inside = min(client.size, SIZE)
    eq(client.pread(0, client.size), b'\x3c' * inside + bytes(client.size - inside), 'data')
    client.pwrite(0, b'\x3d' * client.size)
    eq(client.pread(0, client.size)[:inside], b'\x3d' * inside, 'data written')
    client.disconnect()
