#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hidden export is entered by its name and not listed; default-export says what "" means."""
from rawnbd import nbdtest
from rawnbd import OPT_LIST, ERR_POLICY, Client, eq
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(4096 * (i + 1), name)}' for i, name in enumerate('ab')}
sections = {'a': [image['a']], 'b': [image['b'], 'hidden = on']}


def listed(server):
    with Client(server) as client:
        return [data[4:4 + data[3]].decode() for kind, data in client.option(OPT_LIST) if kind == 2]


def size(server, name):
    with Client(server) as client:
        return client.go(name).size


with Reloading(sections, generic=['default-export = b']) as server:
    eq(listed(server), ['a'], 'names')
    eq(size(server, 'b'), 8192, 'the hidden export')
    eq(size(server, ''), 8192, 'the default export')
    server.generic = ['default-export = a']
    server.reload({'a': [image['a']], 'b': [image['b']]})
    eq(listed(server), ['a', 'b'], 'names after a reload')
    eq(size(server, ''), 4096, 'the new default export')

with Reloading(sections, generic=['allowlist = false']) as server, Client(server) as client:
    eq(client.option(OPT_LIST)[0][0], ERR_POLICY, 'a server that does not list')
