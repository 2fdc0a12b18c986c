#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file with an error, or an image that cannot be opened: the server goes on as it was."""
import os

from rawnbd import nbdtest
from rawnbd import Client, connect, eq
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(1 << 20, name)}' for name in 'abc'}
good = {'a': [image['a']], 'b': [image['b']]}


def names(server):
    with Client(server) as client:
        return [data[4:4 + data[3]].decode() for kind, data in client.option(3) if kind == 2]


with Reloading(good) as server, connect(server, name='a') as a:
    for sections, word in [
            ({'a': [image['a'], 'readolny = true'], 'c': [image['c']]}, 'readonly'),
            ({'a': [image['a']], 'c': ['image = /nonexistent/image']}, '/nonexistent/image'),
            ({'a': []}, 'no image'),
            ({'c': [image['c']], 'a': [image['a'], 'cache = none']}, 'in use by its'),
            ({}, 'no image to serve')]:
        said = '\n'.join(server.reload(sections))
        if 'cache' not in str(sections):
            assert word in said, said
        assert 'nothing is changed' in said, said
        eq(names(server), ['a', 'b'], f'exports after {sections}')
        a.pwrite(0, b'x' * 512)
        eq(a.pread(0, 512), b'x' * 512, 'data')
    os.remove(server.config)
    assert 'cannot read' in '\n'.join(server.reload())
    eq(names(server), ['a', 'b'], 'exports without a file')

    # An export that nobody uses lets its image go, to another name or with another cache.
    said = server.reload({'a': [image['a']], 'z': [image['b'], 'cache = writethrough']})
    assert 'export "z": added' in said and 'export "b": removed' in said, said
    server.reload({'a': [image['a']], 'z': [image['b']]})
    eq(names(server), ['a', 'z'], 'exports at last')

with nbdtest.Server(['--format=raw', nbdtest.disk(4096)]) as server:
    Reloading.config = 'none'
    assert 'nothing to reload' in Reloading.reload(server)[0]
