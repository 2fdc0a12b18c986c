#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""FLUSH has neither offset nor length: other than 0 they are refused."""
from rawnbd import EINVAL, FLUSH, eq, every_form, served

with served() as server:
    for client in every_form(server):
        for offset, length in (1, 0), (0, 1), (4096, 4096), (1 << 63, 0):
            eq(client.call(FLUSH, offset, length).error, EINVAL, f'flush {offset}+{length}')
        client.ok(FLUSH)
        client.disconnect()
