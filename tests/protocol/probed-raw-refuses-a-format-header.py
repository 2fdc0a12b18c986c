#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""In an image whose format was probed as raw no client writes the magic of another format."""
from rawnbd import EPERM, FLUSH, K, WRITE, connect, eq, served

MAGIC = b'QFI\xfb'
SECTOR = (MAGIC + b'\0\0\0\3').ljust(512, b'\0')

with served(fmt=None, size=64 * K, data=b'\x01' * 512) as server:
    for structured in False, True:
        with connect(server, structured=structured) as client:
            eq(client.call(WRITE, 0, 512, 0, SECTOR).error, EPERM, 'one sector')
            eq(client.call(WRITE, 0, 8192, 0, SECTOR.ljust(8192)).error, EPERM, 'more')
            for offset, length in (0, 4), (0, 2), (1, 511), (2, 2):
                client.call(WRITE, offset, length, 0, SECTOR[offset:offset + length])
            client.ok(FLUSH)
            assert client.pread(0, 4) != MAGIC, 'written in pieces'
            client.pwrite(0, b'\x02' * 512)
            client.pwrite(4096, SECTOR)
            client.disconnect()
    with open(server.image, 'rb') as f:
        assert f.read(4) != MAGIC, 'the file has become another format'

with served(size=64 * K) as server, connect(server) as client:
    client.pwrite(0, SECTOR)
    eq(client.pread(0, 512), SECTOR, 'allowed when the format was named')
    client.disconnect()
