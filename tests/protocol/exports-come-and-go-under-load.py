#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exports are added, for images and for nodes, and removed in every mode, while clients use them and
others: nobody else notices, and what is gone is closed."""
import threading

from controlled import Server, content, export
from rawnbd import (EPERM, ERR_UNKNOWN, ESHUTDOWN, K, M, OPT_GO, OPT_LIST, READ, REP_ACK, WRITE,
                    Client, Closed, Violation, connect, eq, info_data, nbdtest)


class Load(threading.Thread):
    """A client that writes and reads without a pause, until its connection ends; `refused` says
    whether it was told of that."""

    def __init__(self, server, name):
        super().__init__()
        self.client = connect(server, name=name)
        self.refused, self.done, self.failure, self.stop = None, 0, None, False
        self.progress = threading.Semaphore(0)
        self.start()

    def run(self):
        try:
            while not self.stop:
                data = bytes([self.done % 256]) * K
                written, read = self.client.call(WRITE, 0, K, data=data), self.client.call(READ, 0, K)
                self.refused = {written.error, read.error} - {0}
                if self.refused:
                    eq(self.refused, {ESHUTDOWN}, 'error')
                    self.client.expect_close()
                    break
                eq(read.data, data, 'data')
                self.done += 1
                self.progress.release()
        except (Closed, BrokenPipeError, ConnectionResetError):
            pass
        except (AssertionError, Violation) as e:
            self.failure = e
        self.client.close()

    def go_on(self, n):
        """Returns when it has done so much more."""
        for _ in range(n):
            if not self.progress.acquire(timeout=60):
                raise self.failure or AssertionError(f'it stays at {self.done} rounds')

    def end(self, stop=False):
        self.stop = stop
        self.join()
        if self.failure:
            raise self.failure
        assert self.done > 0


def knows(server, name):
    with Client(server) as client:
        client.send_option(OPT_GO, info_data(name))
        while True:
            kind, _ = client.option_reply(OPT_GO)
            if kind in (REP_ACK, ERR_UNKNOWN):
                return kind == REP_ACK


def ids(qmp):
    return {e['id']: e['shutting-down'] for e in qmp.cmd('query-block-exports')}


def deleted(qmp, name):
    qmp.wait_event('BLOCK_EXPORT_DELETED', lambda data: data['id'] == name)


def add(qmp, name, **settings):
    qmp.cmd('x-export-add', name=name, format='raw', image=nbdtest.path('other'), **settings)


def modes(server, qmp):
    for mode in ('hide', 'soft', 'hard'):
        add(qmp, mode)
        busy = Load(server, mode)
        busy.go_on(1)
        eq(ids(qmp), {'keep': False, mode: False}, 'exports')
        assert 'still in use' in qmp.fails('block-export-del', id=mode)
        qmp.cmd('block-export-del', id=mode, mode=mode)
        assert not knows(server, mode), mode
        if mode == 'hide':
            eq(ids(qmp), {'keep': False, mode: True}, 'exports')
            busy.go_on(busy.done + 10)
            qmp.fails('block-export-del', id=mode)
            busy.end(stop=True)
        busy.end()
        deleted(qmp, mode)
        assert mode == 'soft' or not busy.refused
        eq(ids(qmp), {'keep': False}, 'exports')
    add(qmp, 'safe')
    qmp.cmd('block-export-del', id='safe', mode='safe')
    deleted(qmp, 'safe')


def nodes(server, qmp):
    """Two exports of one node see the same; the node stays."""
    qmp.cmd_args('blockdev-add', {'driver': 'raw', 'node-name': 'n', 'file': {
        'driver': 'file', 'filename': nbdtest.path('other')}})
    for name, more in ('x', {'writable': True}), ('y', {'writable': True}), ('z', {}):
        qmp.cmd('block-export-add', type='nbd', id='id-' + name, node_name='n', name=name, **more)
    with connect(server, name='x') as x, connect(server, name='y') as y, \
            connect(server, name='z') as z:
        x.pwrite(4 * K, b'x' * K)
        eq(y.pread(4 * K, K), b'x' * K, 'through another export')
        eq(z.call(WRITE, 0, 1, data=b'z').error, EPERM, 'not writable')
        qmp.fails('blockdev-del', node_name='n')
        qmp.cmd('block-export-del', id='id-x', mode='hard')
        y.pwrite(5 * K, b'y' * K)
    for name in 'id-y', 'id-z':
        qmp.cmd('block-export-del', id=name, mode='hide')
    for name in 'id-x', 'id-y', 'id-z':
        deleted(qmp, name)
    qmp.cmd('blockdev-del', node_name='n')
    eq(content('other')[4 * K:6 * K], b'x' * K + b'y' * K, 'content')


def errors(qmp):
    for args in ({'type': 'fuse', 'id': 'i', 'node_name': 'n'},
                 {'type': 'nbd', 'id': '', 'node_name': '#block000'},
                 {'type': 'nbd', 'id': 'keep', 'node_name': '#block000'}):
        qmp.fails('block-export-add', **args)
    qmp.fails('block-export-add', 'DeviceNotFound', type='nbd', id='i', node_name='n')
    qmp.fails('block-export-del', 'DeviceNotFound', id='i')
    for settings in {'cache': 'none such'}, {'nonsense': 1}, {'shared': -1}, {'shared': [1]}, \
            {'name': 'x' * 5000}, {'format': 'qcow2'}, {'tls': 'require'}, {'throttle': {'x': 1}}:
        qmp.fails('x-export-add', **{'name': 'i', 'image': nbdtest.path('other'), **settings})
    qmp.fails('x-export-add', name='keep', image=nbdtest.path('other'))
    eq(ids(qmp), {'keep': False}, 'exports')


with Server([export('keep')]) as server, server.qmp() as qmp:
    keeper = Load(server, 'keep')
    nbdtest.disk(M, 'other')
    errors(qmp)
    modes(server, qmp)
    nodes(server, qmp)
    add(qmp, 'listed', id='another', description='text', hidden=False, bitmap=[])
    add_hidden = dict(name='hidden', image=nbdtest.disk(M, 'third'), format='raw', hidden='on')
    qmp.cmd('x-export-add', **add_hidden)
    with Client(server) as client:
        client.send_option(OPT_LIST)
        kind, names = REP_ACK + 1, []
        while kind != REP_ACK:
            kind, data = client.option_reply(OPT_LIST)
            names += [data]
    eq([b'listed' in n for n in names], [False, True, False], 'names that are listed')
    eq(keeper.is_alive(), True, 'the one who was there all the time')
    keeper.end(stop=True)
