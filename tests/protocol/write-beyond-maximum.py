#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A WRITE beyond the maximum is an error after its data, or a close; nothing is written."""
import struct

from rawnbd import (EINVAL, EOVERFLOW, G, INFO_BLOCK_SIZE, M, WRITE, Client, Closed, Violation, eq,
                    grew_less_than, request_bytes, rss, served, still_serves)

with served(size=256 * M) as server:
    still_serves(server)
    before = rss(server)
    with Client(server) as other:
        other.go()
        for length in None, 200 * M, 4 * G - 4096:
            with Client(server) as client:
                client.go('', [INFO_BLOCK_SIZE])
                most = struct.unpack('>III', client.go_info[INFO_BLOCK_SIZE])[2]
                length = length or most + 4096
                client.send(request_bytes(WRITE, 0, length, cookie=5))
                try:
                    for _ in range(min(length, 201 * M) // 4096):
                        client.send(b'\xee' * 4096)
                    if length < G:
                        error, cookie = struct.unpack('>xxxxIQ', client.read(16))
                        eq(cookie, 5, 'cookie')
                        assert error in (EINVAL, EOVERFLOW), error
                        eq(client.pread(0, 512), bytes(512), 'the connection goes on')
                except (Closed, ConnectionError, Violation) as e:
                    assert not isinstance(e, Violation) or 'closed inside' in str(e), e
        eq(other.pread(0, 32 * M) == bytes(32 * M), True, 'nothing was written')
    grew_less_than(160 * M, server, before)
