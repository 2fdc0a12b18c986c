#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""X_EXPORT_STATE says what has happened to an export, and which error has stopped it."""
from controlled import export, failing
from rawnbd import WRITE, connect, eq, nbdtest, qmptest

config = nbdtest.path('conf')


def configure(*names):
    with open(config, 'w') as f:
        for name in names:
            f.write(f'[{name}]\nimage = {nbdtest.disk(1 << 20, name)}\nformat = raw\n')


def told(name, state, reason, **more):
    eq(qmp.wait_event('X_EXPORT_STATE', lambda data: data['id'] == name),
       {'id': name, 'state': state, 'reason': reason, **more}, 'event')


def come_and_go():
    configure('a', 'b')
    qmp.cmd('x-reload')
    told('b', 'running', 'added')
    with connect(server, name='b'):
        configure('a')
        qmp.cmd('x-reload')
        told('b', 'removed', 'removed')
        configure('a', 'b')
        qmp.cmd('x-reload')
        told('b', 'running', 'brought-back')
    qmp.cmd('block-export-del', id='b', mode='hard')
    told('b', 'removed', 'removed')


def media():
    """Where an export is stopped for two reasons, each is told."""
    qmp.cmd('x-export-set', **{'id': 'a', 'on-eject': 'wait'})
    qmp.cmd('eject', id='a')
    told('a', 'no-medium', 'medium-out')
    qmp.cmd('x-export-pause', id='a')
    told('a', 'paused', 'paused')
    qmp.cmd('x-export-set', **{'id': 'a', 'on-eject': 'fail'})
    told('a', 'paused', 'on-eject')
    qmp.cmd('x-export-set', **{'id': 'a', 'on-eject': 'wait'})
    told('a', 'paused', 'medium-out')
    qmp.cmd('blockdev-change-medium', id='a', filename=nbdtest.path('a'), format='raw')
    told('a', 'paused', 'medium-in')
    qmp.cmd('x-export-resume', id='a')
    told('a', 'running', 'resumed')


configure('a')
with qmptest.Server(['--config=' + config]) as server, server.qmp() as qmp:
    come_and_go()
    media()

rules = [f'inject-error.{i}.{key}' for i, error in ((0, 28), (1, 5))
         for key in ('iotype=write', f'sector={8 * i}', f'errno={error}', 'count=1')]
with qmptest.Server([failing('x', *rules), export('y')]) as server, server.qmp() as qmp:
    qmp.cmd('x-set-error-policy', device='x', on_write_error='stop')
    with connect(server, name='x') as client:
        for offset, error in (0, 'ENOSPC'), (4096, 'EIO'):
            stopped = client.request(WRITE, offset, 512, data=bytes(512))
            told('x', 'io-error', 'error', error=error)
            qmp.cmd('x-export-resume', id='x')
            told('x', 'running', 'resumed')
            cookie, reply = client.receive()
            eq((cookie, reply.error), (stopped, 0), 'reply')
    qmp.cmd('x-export-pause', id='y')
    told('y', 'paused', 'paused')
    qmp.cmd('quit')
    told('y', 'running', 'server-ends')
