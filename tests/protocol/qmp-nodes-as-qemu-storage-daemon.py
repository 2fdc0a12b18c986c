#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nodes are added, changed, described and removed as qemu-storage-daemon does it."""
import json
import subprocess

from qsd import Qsd
from rawnbd import M, connect, eq, nbdtest, qmptest

top, middle, base = (nbdtest.path(name) for name in ('top.qcow2', 'middle.qcow2', 'base.raw'))
for command in (['create', '-q', '-f', 'raw', base, '4M'],
                ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', middle],
                ['create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on,cluster_size=32k',
                 '-b', 'middle.qcow2', '-F', 'qcow2', top],
                ['snapshot', '-c', 'then', top],
                ['bitmap', '--add', '--disable', '-g', '128k', top, 'b0']):
    subprocess.run(['qemu-img', *command], check=True)


def file_node(filename, **more):
    return {'driver': 'file', 'filename': filename, **more}


NODES = [
    {'driver': 'qcow2', 'node-name': 'top', 'read-only': True, 'detect-zeroes': 'unmap',
     'discard': 'unmap', 'file': file_node(top, **{'node-name': 'top-file'})},
    {'driver': 'qcow2', 'node-name': 'alone', 'read-only': True, 'backing': None,
     'file': file_node(middle), 'force-share': True},
    {'node-name': 'plain', **file_node(nbdtest.disk(M, 'plain')), 'cache': {'no-flush': True}},
    {'driver': 'raw', 'node-name': 'part', 'file': 'plain', 'offset': 65536, 'size': 4096,
     'detect-zeroes': 'on'},
]
WRONG = [
    {'driver': 'raw', 'node-name': 'x', 'file': 'nope'},
    {'driver': 'raw', 'node-name': 'x', 'file': 'top', 'nonesuch': 1},
    {'driver': 'raw', 'node-name': 'x'},
    {'driver': 'nonesuch', 'node-name': 'x'},
    {'driver': 'raw', 'node-name': 'top', 'file': file_node(base)},
    {'driver': 'raw', 'node-name': '1x', 'file': file_node(base)},
    {'driver': 'raw', 'file': file_node(base)},
    {'node-name': 'x', 'file': file_node(base)},
    {'driver': 'file', 'node-name': 'x', 'filename': '/nonesuch'},
    {'driver': 'qcow2', 'node-name': 'x', 'file': file_node(base, **{'read-only': True}),
     'read-only': True},
]
REOPENED = [{'driver': 'raw', 'node-name': 'part', 'file': 'plain', 'offset': 65536, 'size': 4096,
             'detect-zeroes': 'on', 'read-only': True}]


def ask(qmp):
    """All that both are asked, and what they say."""
    for node in NODES:
        qmp.cmd_args('blockdev-add', node)
    for wrong in WRONG:
        try:
            qmp.cmd_args('blockdev-add', wrong)
        except qmptest.QmpError as e:
            eq(e.cls, 'GenericError', e)
            continue
        raise AssertionError(f'{wrong} was accepted')
    yield 'all', qmp.cmd('query-named-block-nodes')
    yield 'flat', qmp.cmd('query-named-block-nodes', flat=True)
    yield 'stats', [{'node-name': node.get('node-name', '#'), **node}
                    for node in qmp.cmd_args('query-blockstats', {'query-nodes': True})]
    qmp.cmd('blockdev-reopen', options=REOPENED)
    yield 'reopened', qmp.cmd('query-named-block-nodes', flat=True)
    for in_use in ('plain', 'top-file', 'nope'):
        qmp.fails('blockdev-del', node_name=in_use)
    for node in reversed(NODES):
        qmp.cmd('blockdev-del', node_name=node['node-name'])
    yield 'removed', qmp.cmd('query-named-block-nodes')


def comparable(value, key=None):
    """Without what only one of the two has: made up names, whole options as a file's name, drivers'
    own counters."""
    if isinstance(value, list):
        each = [comparable(v) for v in value]
        if each and isinstance(each[0], dict):
            each.sort(key=repr)
        return each
    if isinstance(value, dict):
        return {k: comparable(v, k) for k, v in sorted(value.items())
                if k not in ('driver-specific', 'wr_highest_offset')}
    if isinstance(value, str) and value.startswith('json:'):
        options = json.loads(value[5:])
        while 'filename' not in options:
            options = options['file']
        return options['filename']
    return '#' if key == 'node-name' and value.startswith('#') else value


with Qsd() as theirs:
    want = {name: comparable(answer) for name, answer in ask(theirs)}
with qmptest.Server(['--export-name=d0', '--format=raw', nbdtest.disk(M, 'served')]) as server, \
        server.qmp() as qmp:
    own = {node['node-name'] for node in qmp.cmd('query-named-block-nodes')}
    for name, answer in ask(qmp):
        got = comparable([node for node in answer if node['node-name'] not in own])
        eq(len(got), len(want[name]), (name, 'nodes'))
        for ours, other in zip(got, want[name]):
            eq(ours, other, name)

    # What only a server of exports has to refuse.
    node, = (n for n in qmp.cmd('query-block') if n['device'] == 'd0')
    root = node['inserted']['node-name']
    for wrong, words in (
            ({'driver': 'raw', 'node-name': 'x', 'file': root}, ('export "d0"', 'Only one')),
            ({'driver': 'file', 'node-name': 'x', 'filename': nbdtest.path('served')}, ('lock',))):
        why = qmp.fails('blockdev-add', **wrong)
        eq([word in why for word in words], [True] * len(words), why)
    assert 'was not added' in qmp.fails('blockdev-del', node_name=root)
    reopen = {'driver': 'raw', 'node-name': root}
    for changed, words in (({'read-only': True}, ('d0', 'written to')), ({'size': 512}, ("'size'", 'block_resize')),
                           ({'backing': None}, ("'backing'", 'block-commit')),
                           ({'discard': 'ignore'}, ("'discard'", 'blockdev-insert-medium')),
                           ({'detect-zeroes': 'on'}, ("'detect-zeroes'", 'blockdev-insert-medium')),
                           ({'cache': {'writeback': True}}, ("'cache.writeback'",
                                                             'x-set-write-cache'))):
        why = qmp.fails('blockdev-reopen', options=[{**reopen, **changed}])
        eq([word in why for word in words], [True] * len(words), why)
    with connect(server) as client:
        client.pwrite(0, b'x' * 512)
        qmp.cmd('blockdev-reopen', options=[{**reopen, 'cache': {'direct': True}}])
        eq(qmp.cmd('query-block')[0]['inserted']['cache'],
           {'writeback': True, 'direct': True, 'no-flush': False}, 'cache')
        eq(client.pread(0, 512), b'x' * 512, 'it goes on')

    # All or none.
    why = qmp.fails('blockdev-reopen', options=[{**reopen, 'cache': {'direct': False}},
                                                {'node-name': 'nope', 'driver': 'raw'}])
    assert "'nope'" in why, why
    eq(qmp.cmd('query-block')[0]['inserted']['cache']['direct'], True, 'unchanged')

    # As high as a request can come down.
    qmp.cmd_args('blockdev-add', {'node-name': 'n0', **file_node(base)})
    below = 0
    try:
        while below < 1000:
            qmp.cmd_args('blockdev-add', {'driver': 'raw', 'node-name': f'n{below + 1}',
                                          'file': f'n{below}'})
            below += 1
    except qmptest.QmpError as e:
        assert 'on top of each other' in e.desc, e
    assert 64 <= below < 1000, below
    qmp.cmd('eject', id='d0')
    qmp.cmd('blockdev-insert-medium', id='d0', node_name=f'n{below}')
    qmp.cmd('blockdev-close-tray', id='d0')
    with connect(server) as client:
        client.pwrite(100, b'x' * 10)
        eq(client.pread(0, 512)[100:110], b'x' * 10, 'through all of them')
