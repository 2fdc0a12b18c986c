#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""With removed-clients=disconnect, the clients of a removed export are disconnected in order."""
from rawnbd import nbdtest
from rawnbd import connect, eq
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(1 << 20, name)}' for name in 'ab'}
both = {name: [image[name]] for name in 'ab'}

with Reloading(both, generic=['removed-clients = disconnect']) as server, \
        connect(server, name='a') as a, connect(server, name='b') as b:
    b.pwrite(0, b'B' * 512)
    server.reload({'a': [image['a']]})
    b.expect_close()
    a.pwrite(0, b'A' * 512)
    eq(a.pread(0, 512), b'A' * 512, 'the other client')
    # Nobody keeps the image: it can be had again.
    server.reload(both)
    with connect(server, name='b') as again:
        eq(again.pread(0, 512), b'B' * 512, 'what the client had written')
