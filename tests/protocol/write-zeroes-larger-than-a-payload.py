#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""WRITE_ZEROES, TRIM and CACHE carry no data: gigabytes at once are no reason to close."""
from rawnbd import CACHE, EINVAL, EOVERFLOW, G, TRIM, WRITE_ZEROES, eq, every_form, served

with served('--discard=unmap', size=8 * G) as server:
    for client in every_form(server):
        client.pwrite(3 * G, b'\x01' * 512)
        for cmd in WRITE_ZEROES, TRIM, CACHE:
            reply = client.call(cmd, 4096, 4 * G - 8192)
            assert reply.error in (0, EINVAL, EOVERFLOW), f'command {cmd}: {reply.error}'
            if cmd == WRITE_ZEROES and not reply.error:
                eq(client.pread(3 * G, 512), bytes(512), 'zeroes')
        client.disconnect()
