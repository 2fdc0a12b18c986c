#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reload tells which settings it could not change, and which groups have other limits now."""
import time

from rawnbd import connect, eq, nbdtest
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(1 << 20, name)}' for name in 'ab'}
group = 'throttle.group = g'

with Reloading({'a': [image['a'], group, 'throttle.iops-total = 10'], 'b': [image['b'], group]},
               generic=['threads = 1', 'port = 0', 'default-export = a']) as server, \
        connect(server, name='b') as b:
    b.pread(0, 512)
    server.generic = ['threads = 2', 'port = 1', 'default-export = b', 'drain-timeout = 3']
    # The limits move to the other member of the group; then there are none.
    said = server.reload({'a': [image['a'], group],
                          'b': [image['b'], group, 'throttle.iops-total = 100000']})
    # Where to listen is the command line's matter here.
    assert 'warning: changed, and will hold after a restart: threads, drain-timeout' in said, said
    eq([line for line in said if 'changed: ' in line],
       ['export "a": changed: throttle.iops-total', 'export "b": changed: throttle.iops-total'],
       'what changed')
    start = time.monotonic()
    for i in range(100):
        b.pread(512 * i, 512)
    server.reload({'a': [image['a']], 'b': [image['b']]})
    for i in range(100):
        b.pread(512 * i, 512)
    assert time.monotonic() - start < 8, 'the old limits hold, under which this takes 20 seconds'
