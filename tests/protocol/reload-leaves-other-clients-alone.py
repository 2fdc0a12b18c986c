#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGHUP adds, changes and removes exports; clients go on with what they have."""
from rawnbd import nbdtest
from rawnbd import Client, connect, eq
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(1 << 20, name)}' for name in 'abcde'}

with Reloading({'a': [image['a']], 'b': [image['b'], 'shared = 1'], 'c': [image['c']]}) as server, \
        connect(server, name='a') as a, connect(server, name='b') as b, \
        connect(server, name='c') as c:
    for client, data in ((a, b'A'), (b, b'B'), (c, b'C')):
        client.pwrite(0, data * 512)

    said = server.reload({
        'a': [image['a']],
        'b': [image['b'], 'readonly = true', 'throttle.iops-total = 1000', 'shared = 2',
              'allow = any'],
        'd': [image['d'], 'description = new'],
    })
    eq(sorted(said), ['export "b": changed: read-only, allow, shared, throttle.iops-total',
                      'export "c": removed', 'export "d": added',
                      f'reloaded "{server.config}"'], 'what it says')

    # Who was there goes on, also where others may not write, or enter, any more.
    for client, data in ((a, b'A'), (b, b'B'), (c, b'C')):
        eq(client.pread(0, 512), data * 512, 'data')
        client.pwrite(512, data * 512)
    with Client(server) as client:
        eq(client.go('d').size, 1 << 20, 'size of the new export')
    with Client(server) as client:
        assert client.go('b').flags & 2, 'b is not read-only for a new client'
    with Client(server) as client:
        try:
            client.go('c')
            raise SystemExit('c is still there')
        except Exception as e:
            assert not isinstance(e, SystemExit)

    # The same settings again: nothing to say.  Taken back while it is in use: the same image.
    eq(server.reload(), [f'reloaded "{server.config}"'], 'what it says of nothing')
    said = server.reload({name: [image[name]] for name in 'abc'})
    assert 'export "c": added' in said, said
    with connect(server, name='c') as again:
        eq(again.pread(512, 512), b'C' * 512, 'data of c')

    # Another image: for those who come from now on.
    said = server.reload({'a': [image['a']], 'b': [image['e']], 'c': [image['c']]})
    assert 'export "b": changed, for new clients: image' in said, said
    with connect(server, name='b') as new:
        eq(new.pread(0, 512), bytes(512), 'the new image')
    eq(b.pread(0, 512), b'B' * 512, 'the old image')
