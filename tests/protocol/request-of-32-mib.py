#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads and writes of 32 MiB work."""
import random

from rawnbd import M, eq, every_form, served

DATA = random.Random(32).randbytes(32 * M)

with served(size=40 * M) as server:
    for client in every_form(server):
        client.pwrite(3 * M + 4096, DATA)
        eq(client.pread(3 * M + 4096, 32 * M) == DATA, True, 'the same data')
        eq(client.pread(3 * M, 4096), bytes(4096), 'before it')
        client.pwrite(0, bytes(32 * M))
        client.disconnect()
