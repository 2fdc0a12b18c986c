#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that the server does not know are EINVAL and the connection goes on."""
from rawnbd import EINVAL, eq, every_form, served

with served() as server:
    for client in every_form(server):
        for cmd in 8, 9, 10, 255, 0x100, 0x7fff, 0xffff:
            for length in 0, 512, 0xffffffff:
                eq(client.call(cmd, 0, length).error, EINVAL, f'command {cmd:#x}')
        eq(client.pread(0, 512), bytes(512), 'data')
        client.disconnect()
