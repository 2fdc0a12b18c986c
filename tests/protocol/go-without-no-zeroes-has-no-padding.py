#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GO is never followed by zeroes, whether NO_ZEROES was negotiated or not."""
from rawnbd import C_FIXED, C_NO_ZEROES, Client, eq, served

with served(data=b'\x55' * 512) as server:
    for flags in C_FIXED, C_FIXED | C_NO_ZEROES:
        with Client(server, client_flags=flags) as client:
            client.go()
            eq(client.pread(0, 512), b'\x55' * 512, 'the reply comes right after the ACK')
            client.disconnect()
