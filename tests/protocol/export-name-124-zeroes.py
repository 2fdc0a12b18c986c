#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""EXPORT_NAME is answered with size, flags and 124 zeroes unless NO_ZEROES was negotiated."""
from rawnbd import C_FIXED, C_NO_ZEROES, Client, K, eq, served

with served(size=192 * K, data=b'data') as server:
    for flags, zeroes in (C_FIXED, True), (C_FIXED | C_NO_ZEROES, False), (C_NO_ZEROES, False):
        with Client(server, client_flags=flags) as client:
            client.export_name('', zeroes=zeroes)
            eq(client.size, 192 * K, 'size')
            assert client.silent(), 'nothing more follows'
            eq(client.pread(0, 4), b'data', 'first bytes')
            client.disconnect()
