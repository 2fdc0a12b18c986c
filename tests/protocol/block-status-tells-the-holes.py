#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""base:allocation agrees with SEEK_DATA and SEEK_HOLE, extent by extent."""
import os

from rawnbd import BLOCK_STATUS, HOLE, M, ZERO, connect, eq, served, skip


def truth(path, size):
    """[(start, is a hole)...] as the file system has it"""
    found, at = [], 0
    with open(path, 'rb') as f:
        while at < size:
            try:
                data = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                data = size
            if data > at:
                found.append((at, True))
            if data < size:
                found.append((data, False))
                at = os.lseek(f.fileno(), data, os.SEEK_HOLE)
            else:
                at = size
    return found


with served(size=16 * M) as server:
    with open(server.image, 'r+b') as f:
        for at in 1, 2, 5, 6, 11, 15:
            os.pwrite(f.fileno(), b'\x10' * M, at * M)
    if len(truth(server.image, 16 * M)) < 5:
        skip('the file system does not tell holes')
    with connect(server, allocation=True) as client:
        seen, at = [], 0
        while at < 16 * M:
            for size, status in client.ok(BLOCK_STATUS, at, 16 * M - at).extents.popitem()[1]:
                if not seen or seen[-1][1] != bool(status & HOLE):
                    seen.append((at, bool(status & HOLE)))
                eq(bool(status & ZERO), bool(status & HOLE), 'a hole of a file reads as zeroes')
                at += size
        eq(at, 16 * M, 'the extents end where the export ends')
        eq(seen, truth(server.image, 16 * M), 'extents')
        client.disconnect()
