#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""LIST names each export once, with its description."""
import os
import struct
import tempfile

import rawnbd
from rawnbd import OPT_LIST, REP_ACK, REP_SERVER, Client, eq

with tempfile.TemporaryDirectory() as tmp:
    names = ['', 'a', 'b/c', 'ünï']
    args = []
    for i, name in enumerate(names):
        path = os.path.join(tmp, f'{i}.img')
        with open(path, 'wb') as f:
            f.truncate(4096 * (i + 1))
        args.append(f'--export=name={name},image={path},format=raw,description=number {i}')
    with rawnbd.nbdtest.Server(args) as server, Client(server) as client:
        found = {}
        replies = client.option(OPT_LIST)
        eq(replies.pop()[0], REP_ACK, 'final reply')
        for kind, data in replies:
            eq(kind, REP_SERVER, 'reply type')
            size = struct.unpack('>I', data[:4])[0]
            assert size <= len(data) - 4, 'length of the name'
            name = data[4:4 + size].decode()
            assert name not in found, f'{name} comes twice'
            found[name] = data[4 + size:].decode()
        eq(found, {name: f'number {i}' for i, name in enumerate(names)}, 'exports')
        for i, name in enumerate(names):
            with Client(server) as each:
                eq(each.go(name).size, 4096 * (i + 1), f'size of {name!r}')
