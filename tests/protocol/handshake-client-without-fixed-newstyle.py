#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of the old newstyle handshake (no flags at all) gets its export by EXPORT_NAME."""
from rawnbd import Client, M, eq, served

with served(size=M, data=b'hello') as server:
    with Client(server, client_flags=0) as client:
        client.export_name('', zeroes=True)
        eq(client.size, M, 'size')
        eq(client.pread(0, 5), b'hello', 'data')
        client.disconnect()
