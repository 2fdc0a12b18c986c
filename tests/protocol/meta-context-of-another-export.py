#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A meta context selected for one export is not used for another."""
import os
import tempfile

import rawnbd
from rawnbd import (BLOCK_STATUS, EINVAL, OPT_SET_META, REP_ACK, Client, eq)

with tempfile.TemporaryDirectory() as tmp:
    args = []
    for name in 'one', 'two':
        path = os.path.join(tmp, name)
        with open(path, 'wb') as f:
            f.truncate(65536)
        args.append(f'--export=name={name},image={path},format=raw')
    with rawnbd.nbdtest.Server(args) as server:
        for enter in Client.go, Client.export_name:
            for name in 'one', 'two':
                with Client(server) as client:
                    client.negotiate_structured()
                    eq(client.meta(OPT_SET_META, 'one', ['base:allocation'])[0], REP_ACK, 'SET')
                    enter(client, name)
                    if name != 'one':
                        client.contexts = {}
                    reply = client.call(BLOCK_STATUS, 0, 65536)
                    eq(reply.error, 0 if name == 'one' else EINVAL, name)
                    client.disconnect()
