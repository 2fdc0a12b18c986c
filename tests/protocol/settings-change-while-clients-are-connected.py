#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""x-export-set changes what can be changed of a running export and says what is in force; what it
cannot change it names.  A reload sets exports of the file back, and leaves those alone that were
added over the control socket, unless the file names them."""
import os
import threading
import time

from controlled import client_of, content, failing
from rawnbd import (ERR_POLICY, ERR_UNKNOWN, K, M, OPT_GO, OPT_LIST, READ_ONLY, REP_ACK,
                    SEND_FLUSH, WRITE, Client, connect, eq, info_data, nbdtest, qmptest,
                    socket_of_another, until)
from reloading import Reloading


def listed(server):
    """Names, with the descriptions behind them."""
    with Client(server) as client:
        client.send_option(OPT_LIST)
        kind, names = None, []
        while kind != REP_ACK:
            kind, data = client.option_reply(OPT_LIST)
            names += [data[4:]] if kind != REP_ACK else []
        return sorted(names)


def enters(server, name):
    """What the server says to who wants to."""
    with Client(server) as client:
        client.send_option(OPT_GO, info_data(name))
        while True:
            kind, _ = client.option_reply(OPT_GO)
            if kind in (REP_ACK, ERR_UNKNOWN, ERR_POLICY):
                return kind


def changes(server, qmp):
    def change(**settings):
        now = qmp.cmd_args('x-export-set', {'id': 'a', **settings})
        eq({key: now[key] for key in settings}, settings, 'what is in force')
        eq(qmp.cmd('x-query-exports')[0]['settings'], now, 'what is told later')

    with connect(server, name='a') as client:
        change(description='other', hidden=False)
        eq(listed(server), [b'aother', b'b'], 'list')
        change(hidden=True)
        eq(listed(server), [b'b'], 'list')
        change(shared=1)
        eq(enters(server, 'a'), ERR_POLICY, 'one more')
        change(shared=0)
        change(allow=['uid:%d' % (os.getuid() + 1), 'net:192.0.2.0/24'])
        eq(enters(server, 'a'), ERR_UNKNOWN, 'one whom no rule names')
        change(allow=[], **{'allow-read-only': ['uid:%d' % os.getuid()]})
        with connect(server, name='a') as reader:
            assert reader.flags & READ_ONLY, 'may only read'
        change(**{'allow-read-only': []})
        change(**{'read-only': True})
        with connect(server, name='a') as reader:
            assert reader.flags & READ_ONLY, 'may only read'
        change(**{'read-only': False})
        change(**{'throttle.iops-total': 70, 'throttle-client.bps-read': 5 << 30})
        change(cache='writethrough')
        change(**{'on-read-error': 'stop'})
        now = qmp.cmd_args('x-export-set', {'id': 'a', 'description': None, 'on-read-error': None,
                                            'throttle': {'iops-total': 0}})
        eq((now['description'], now['on-read-error'], now['throttle.iops-total']),
           (None, 'report', 0), 'what holds without a word')
        client.pwrite(0, b'the one who was there all the time')
        eq(client_of(qmp, export='a')['id'], 1, 'client')


def refusals(server, qmp):
    before = [e['settings'] for e in qmp.cmd('x-query-exports')]
    for settings, named in (
            ({'format': 'qcow2'}, 'format'), ({'image': '/x', 'hidden': False}, 'image'),
            ({'name': 'c'}, 'name'), ({'description': 'x', 'nope': 1}, 'nope'),
            ({'shared': 'x'}, 'shared'), ({'throttle': {'nope': 1}}, 'nope'),
            ({'cache': 'none'}, 'cache'), ({'allow': [1]}, 'allow'), ({'allow': {}}, 'allow'),
            ({'tls': 'require'}, 'TLS'), ({'throttle.iops-total-max': 1}, 'throttle')):
        text = qmp.fails('x-export-set', **{'id': 'a', **settings})
        assert named in text, text
    assert 'reopen' in qmp.fails('x-export-set', **{'id': 'ro', 'read-only': False})
    eq([e['settings'] for e in qmp.cmd('x-query-exports')], before, 'what is set')


def after_a_reload(server, qmp, sections):
    def added():
        return {e['id']: e['dynamic'] for e in qmp.cmd('x-query-exports')}

    qmp.cmd('x-export-add', name='added', image=nbdtest.disk(M, 'c'), format='raw')
    eq(qmp.cmd('x-export-set', id='b', hidden=True)['hidden'], True, 'hidden')
    server.reload()
    eq(listed(server), [b'a', b'added', b'b'], 'list')
    eq(added(), {'a': False, 'b': False, 'ro': False, 'added': True}, 'exports')
    with connect(server, name='added') as client:
        server.reload({**sections, 'added': ['image = ' + nbdtest.path('c'), 'description = file']})
        client.pwrite(0, b'still there')
        eq(listed(server), [b'a', b'addedfile', b'b'], 'list')
    eq(added()['added'], False, 'the file has it now')
    server.reload(sections)
    eq(listed(server), [b'a', b'b'], 'list')
    assert content('c').startswith(b'still there')


def paused_at_a_reload(server, qmp, sections):
    """What takes the place of a paused export is paused, and its clients are within reach."""
    def states(name):
        return [e['state'] for e in qmp.cmd('x-query-exports') if e['id'] == name]

    for name in 'a', 'b':
        qmp.cmd('x-export-pause', id=name)
    with connect(server, name='a') as client:
        client.request(WRITE, 0, 512, data=b'w' * 512)
        server.reload({**sections, 'a': ['image = ' + nbdtest.disk(M, 'd')],
                       'b': sections['b'] + ['discard = unmap']})
        eq((states('a'), states('b')), (['removed', 'paused'], ['paused']), 'states')
        assert client.silent(), 'something has happened'
        qmp.cmd('x-export-resume', id='a')
        eq(client.receive()[1].error, 0, 'error')
        assert content('a').startswith(b'w' * 512)
    qmp.cmd('x-export-resume', id='b')
    eq(states('b'), ['running'], 'state')


def flags(server, name):
    with connect(server, name=name) as client:
        return client.flags


def with_a_slow_flush(delay_ns=400000000):
    """Who comes while the write cache is being switched off has the new limits, too."""
    slow = failing('slow', 'inject-error.0.iotype=flush', f'inject-error.0.delay-ns={delay_ns}')
    with qmptest.Server([slow]) as server, server.qmp() as qmp, \
            connect(server, name='slow') as client:
        client.pwrite(0, b'x' * 512)
        setting = threading.Thread(target=qmp.cmd_args, args=('x-export-set', {
            'id': 'slow', 'cache': 'writethrough', 'throttle-client.iops-read': 10}))
        setting.start()
        until(lambda: not flags(server, 'slow') & SEND_FLUSH, 'the write cache to be off')
        with connect(socket_of_another(server), name='slow') as new:
            in_time = setting.is_alive()
            setting.join()
            start = time.monotonic()
            for _ in range(7):
                new.pread(0, 512)
            assert time.monotonic() - start > 0.4, 'no limit'
    return in_time


def with_a_failing_flush(change):
    """All is set, and who asked for it is told that written data may be lost."""
    image = ('driver=blkdebug,inject-error.0.iotype=flush,inject-error.0.count=1,'
             'image.driver=file,image.filename=') + nbdtest.disk(M, 'bad')
    section = ['image-opts = on', 'image = ' + image]
    server = Reloading({'bad': section}, args=['--qmp=' + socket])
    try:
        with qmptest.Qmp(socket) as qmp, connect(server, name='bad') as client:
            client.pwrite(0, b'x' * 512)
            server.write({'bad': section + ['cache = writethrough']})
            text = change(qmp)
            assert "'bad': The write cache is off now" in text, text
            assert not flags(server, 'bad') & SEND_FLUSH, 'write cache'
            eq(qmp.cmd('x-query-exports')[0]['settings']['cache'], 'writethrough', 'setting')
        server.proc.terminate()
        eq(server.wait(), 1, 'exit status')
    finally:
        server.kill()


sections = {name: ['image = ' + nbdtest.disk(64 * K, name)] for name in ('a', 'b', 'ro')}
sections['ro'] += ['read-only = on', 'hidden = on']
socket = nbdtest.path('qmp')
with Reloading(sections, args=['--qmp=' + socket]) as server, qmptest.Qmp(socket) as qmp:
    changes(server, qmp)
    refusals(server, qmp)
    after_a_reload(server, qmp, sections)
    paused_at_a_reload(server, qmp, sections)
# A busy machine may take longer than the flush.
assert any(with_a_slow_flush(delay_ns) for delay_ns in (400000000, 2000000000, 10000000000))
with_a_failing_flush(lambda qmp: qmp.fails('x-export-set', id='bad', cache='writethrough'))
with_a_failing_flush(lambda qmp: qmp.fails('x-reload'))
