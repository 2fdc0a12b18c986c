#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dirty bitmaps begin, record, merge and end, and QEMU reads what the image keeps of them."""
import json
import subprocess

from rawnbd import K, M, TRIM, connect, eq, nbdtest, qmptest


def dirty(server, name):
    """[(offset, length)...] of what the bitmap says, as qemu-nbd tells it."""
    out = subprocess.run(
        ['nbdinfo', '--json', f'--map=qemu:dirty-bitmap:{name}', '--', '[', 'qemu-nbd', '-r',
         '-f', 'qcow2', f'--bitmap={name}', server.image, ']'],
        check=True, stdout=subprocess.PIPE).stdout
    return [(extent['offset'], extent['length']) for extent in json.loads(out) if extent['type']]


image = nbdtest.path('disk.qcow2')
subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', image, '16M'], check=True)
with qmptest.Server(['--export-name=d0', '--format=qcow2', '--discard=unmap', image]) as server, \
        server.qmp() as qmp, connect(server) as client:
    server.image = image

    def add(name, **more):
        qmp.cmd('block-dirty-bitmap-add', node='d0', name=name, **more)

    def tell(name):
        bitmaps = qmp.cmd('query-block')[0]['inserted'].get('dirty-bitmaps', [])
        return {b['name']: b for b in bitmaps}.get(name)

    add('kept', persistent=True, granularity=64 * K)
    add('fine', granularity=512, disabled=True)
    eq(tell('kept'), {'name': 'kept', 'count': 0, 'granularity': 64 * K, 'recording': True,
                      'busy': False, 'persistent': True}, 'a new one')
    client.pwrite(M, b'x' * 512)
    client.ok(TRIM, 2 * M, 64 * K)
    eq((tell('kept')['count'], tell('fine')['count']), (128 * K, 0), 'after writes')

    qmp.cmd('block-dirty-bitmap-disable', node='d0', name='kept')
    qmp.cmd('block-dirty-bitmap-enable', node='d0', name='fine')
    client.pwrite(4 * M, b'y' * 512)
    eq((tell('kept')['count'], tell('fine')['count']), (128 * K, 512), 'the other one records')
    eq((tell('kept')['recording'], tell('fine')['recording']), (False, True), 'recording')

    # All or nothing.
    why = qmp.fails('block-dirty-bitmap-merge', node='d0', target='kept', bitmaps=['fine', 'nope'])
    assert "'nope'" in why, why
    for wrong in (1, {'name': 'fine'}, {'node': 'd0', 'name': 'fine', 'more': 1}, ['fine']):
        qmp.fails('block-dirty-bitmap-merge', node='d0', target='kept', bitmaps=[wrong])
    eq(tell('kept')['count'], 128 * K, 'nothing was merged')
    qmp.cmd('block-dirty-bitmap-merge', node='d0', target='kept',
            bitmaps=['fine', {'node': 'd0', 'name': 'kept'}])
    eq(tell('kept')['count'], 192 * K, 'merged')

    node = qmp.cmd('query-block')[0]['inserted']['node-name']
    add('gone', persistent=True)
    qmp.cmd('block-dirty-bitmap-remove', node=node, name='gone')
    add('cleared', persistent=True, granularity=32 * K)
    client.pwrite(6 * M, b'z' * 512)
    qmp.cmd('block-dirty-bitmap-clear', node='d0', name='cleared')
    client.pwrite(8 * M, b'z' * 512)

    for wrong, word in (({'name': 'kept'}, 'kept'), ({'name': ''}, 'empty'),
                        ({'name': 'a', 'granularity': 1000}, 'power of 2'),
                        ({'name': 'a', 'granularity': 256}, '512'),
                        ({'name': 'a', 'granularity': 1 << 40}, 'power of 2')):
        why = qmp.fails('block-dirty-bitmap-add', node='d0', **wrong)
        assert word in why, why
    for command in ('remove', 'clear', 'enable', 'disable'):
        assert "'no'" in qmp.fails('block-dirty-bitmap-' + command, node='d0', name='no')
        qmp.fails('block-dirty-bitmap-' + command, 'DeviceNotFound', node='no', name='kept')
    qmp.cmd('block-dirty-bitmap-remove', node='d0', name='fine')
    eq(tell('fine'), None, 'removed')

info = json.loads(subprocess.run(['qemu-img', 'info', '--output=json', image], check=True,
                                 stdout=subprocess.PIPE).stdout)
eq({b['name']: (b['granularity'], b['flags']) for b in info['format-specific']['data']['bitmaps']},
   {'kept': (64 * K, []), 'cleared': (32 * K, ['auto'])}, 'what the image has')
eq(dirty(server, 'kept'), [(M, 64 * K), (2 * M, 64 * K), (4 * M, 64 * K)], 'kept')
subprocess.run(['qemu-img', 'bitmap', '--disable', image, 'cleared'], check=True)
eq(dirty(server, 'cleared'), [(8 * M, 32 * K)], 'cleared')
subprocess.run(['qemu-img', 'check', '-q', image], check=True)
