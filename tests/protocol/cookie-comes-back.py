#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Any cookie comes back as it was sent: simple, structured and extended, success and error."""
from rawnbd import (BLOCK_STATUS, CACHE, EINVAL, FLUSH, M, READ, TRIM, WRITE, WRITE_ZEROES, eq,
                    every_form, served)

COMMANDS = READ, WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, 77

with served() as server:
    for client in every_form(server):
        for cookie in 0, 1, 0x67446698668e33ef, 1 << 63, (1 << 64) - 1:
            for cmd in COMMANDS:
                data = bytes(512 if cmd == WRITE else 0)
                client.request(cmd, 0, 0 if cmd == FLUSH else 512, data=data, cookie=cookie)
                got, reply = client.receive()
                eq(got, cookie, f'command {cmd}')
                eq(reply.error, EINVAL if cmd in (BLOCK_STATUS, 77) else 0, f'command {cmd}')
        client.request(READ, 4 * M, 512, cookie=1 << 40)
        eq(client.receive()[0], 1 << 40, 'error')
