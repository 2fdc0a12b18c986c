#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Without --verbose: who connected, what they did, who was refused and why; and nothing else."""
import re

from rawnbd import C_FIXED, K, M, READ, Client, eq, served

with served('--export-name=disk', lives=False) as server:
    with Client(server) as client:
        client.go('disk')
        client.pwrite(0, bytes(64 * K))
        client.pread(0, 3 * K)
        eq(client.call(READ, M, 1).error != 0, True, 'a read past the end fails')
        client.disconnect()
    with Client(server) as client:
        client.info('nonesuch')
    with Client(server, C_FIXED | 1 << 20) as client:
        client.expect_close()
    eq(server.stop(), 0, 'status')
    log = re.sub(r'unix pid \d+ uid \d+', 'ADDR', server.log())
    log = re.sub(r'\d+\.\d{3} seconds', 'T seconds', log).splitlines()
# A client's end is told of when its thread gets to it.
eq(sorted(log), sorted([
    'nbd-export: export "disk": client ADDR: connected',
    'nbd-export: export "disk": client ADDR: disconnected after T seconds: 3 requests, '
    '3072 bytes read, 65536 bytes written',
    'nbd-export: warning: client ADDR: refused: there is no export "nonesuch"',
    'nbd-export: warning: client ADDR: closed in the handshake: unknown client flags 0x100001',
]), 'log')
