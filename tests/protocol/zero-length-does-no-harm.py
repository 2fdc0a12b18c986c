#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests of no length are answered somehow, change nothing and do not end the connection."""
from rawnbd import (BLOCK_STATUS, CACHE, K, READ, TRIM, WRITE, WRITE_ZEROES, connect, eq, served)

with served(size=64 * K, data=b'\x11' * 64 * K) as server:
    for structured in False, True:
        with connect(server, structured=structured, allocation=structured) as client:
            for cmd in READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS:
                for offset in 0, 512, 64 * K:
                    client.contexts, contexts = {}, client.contexts
                    client.call(cmd, offset, 0)
                    client.contexts = contexts
            eq(client.pread(0, 64 * K), b'\x11' * 64 * K, 'data')
            client.disconnect()
