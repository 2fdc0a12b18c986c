#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A READ beyond the announced maximum is an error (or comes in chunks); the connection goes on."""
import struct

from rawnbd import DF, EINVAL, EOVERFLOW, G, INFO_BLOCK_SIZE, K, READ, Client, eq, served

with served(size=8 * G) as server:
    for structured in False, True:
        with Client(server) as client:
            if structured:
                client.negotiate_structured()
            client.go('', [INFO_BLOCK_SIZE])
            most = struct.unpack('>III', client.go_info[INFO_BLOCK_SIZE])[2]
            for length in most + 4 * K, G, (4 * G) - 4 * K:
                if length <= most:
                    continue
                for flags in (0, DF) if structured else (0,):
                    reply = client.call(READ, 0, length, flags)
                    assert reply.error in (EINVAL, EOVERFLOW) or structured, reply.error
            eq(client.pread(512, 512), bytes(512), 'the next read')
            client.disconnect()
