#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request that the image fails is reported, ignored, or stops the export until it is resumed and
then runs again, as --on-read-error and --on-write-error say; they can be changed at any time."""
import errno

from controlled import Server, content, export, failing, until_held
from rawnbd import (CACHE, EINVAL, EIO, ENOMEM, ENOSPC, EPERM, FLUSH, K, M, READ, WRITE,
                    connect, eq, nbdtest)

# Each write to sector 16 fails twice, one to sector 0 always; reads of sector 64 always, 128 twice.
RULES = ['inject-error.0.iotype=write', 'inject-error.0.sector=16', 'inject-error.0.errno=28',
         'inject-error.0.count=2', 'inject-error.1.iotype=write', 'inject-error.1.sector=0',
         'inject-error.2.iotype=read', 'inject-error.2.sector=64', 'inject-error.3.iotype=read',
         'inject-error.3.sector=128', 'inject-error.3.count=2', 'inject-error.4.iotype=flush',
         'inject-error.4.count=1']
# As errno, and what the protocol has for it.
REFUSALS = {errno.EPERM: EPERM, errno.EACCES: EPERM, errno.EROFS: EPERM, errno.EINVAL: EINVAL,
            errno.ENOTSUP: EINVAL, errno.ENOMEM: ENOMEM}
AT, BAD, BAD_READ, TWICE = 8 * K, 0, 32 * K, 64 * K
DATA = bytes(range(256)) * 16


def error(qmp, **members):
    """That error is told.  Of others one in a second may be, too."""
    qmp.wait_event('BLOCK_IO_ERROR', lambda data: data.items() >= members.items())


def stopped(qmp, state='io-error'):
    qmp.wait_event('X_EXPORT_STATE', lambda data: data['state'] == state)


def policy(qmp, read='auto', write='auto'):
    return qmp.cmd('x-set-error-policy', device='a', on_read_error=read, on_write_error=write)


def reported(qmp, client):
    eq(client.call(READ, BAD_READ, 4 * K).error, EIO, 'error')
    error(qmp, device='a', operation='read', action='report', reason='Input/output error')
    eq(client.call(WRITE, BAD, 4 * K, data=DATA).error, EIO, 'error')
    error(qmp, device='a', operation='write', action='report')
    eq(client.call(FLUSH).error, EIO, 'error')


def ignored(qmp, client):
    eq(policy(qmp, 'ignore', 'ignore'), {'on-read-error': 'ignore', 'on-write-error': 'ignore'},
       'what is in force')
    client.ok(WRITE, BAD, 4 * K, data=DATA)
    eq(client.pread(BAD_READ - 512, 8 * K), bytes(8 * K), 'what could not be read')


def stops_for_lack_of_space(qmp, client, other):
    """Nothing is lost, whoever else comes meanwhile."""
    policy(qmp, 'report', 'enospc')
    eq(client.call(WRITE, BAD, 4 * K, data=DATA).error, EIO, 'another error')
    stop = client.request(WRITE, AT, 4 * K, data=DATA)
    error(qmp, device='a', operation='write', action='stop', nospace=True)
    stopped(qmp)
    late = [client.request(WRITE, AT + 4 * K, 4 * K, data=DATA[::-1]), client.request(READ, AT, 8 * K)]
    until_held(qmp, 3, export='a')
    other.pread(0, 512)
    assert client.silent() and content('a')[AT:AT + 8 * K] == bytes(8 * K)
    # It fails once more.
    qmp.cmd('x-export-resume', id='a')
    error(qmp, action='stop')
    stopped(qmp)
    qmp.cmd('x-export-resume', id='a')
    answers = dict(client.receive() for _ in [stop, *late])
    eq({c: r.error for c, r in answers.items()}, {stop: 0, late[0]: 0, late[1]: 0}, 'errors')
    eq(content('a')[AT:AT + 8 * K], DATA + DATA[::-1], 'what was written')


def stops_reads(qmp, client):
    policy(qmp, 'stop')
    client.request(READ, TWICE, 128 * K)
    for _ in range(2):
        error(qmp, device='a', operation='read', action='stop', nospace=False)
        stopped(qmp)
        state, = [e['state'] for e in qmp.cmd('x-query-exports') if e['id'] == 'a']
        eq(state, 'io-error', 'state')
        qmp.cmd('x-export-resume', id='a')
    eq(client.receive()[1].error, 0, 'error')


def not_the_images_fault():
    """What a client asks for, and may not have, stops no one."""
    with Server([export('a', 'on-write-error=stop', 'on-eject=wait', size=M),
                 '--export=name=probed,on-write-error=stop,image=' + nbdtest.disk(M, 'probed')
                 ]) as server, server.qmp() as qmp:
        with connect(server, name='probed') as client:
            eq(client.call(WRITE, 0, 512, data=b'QFI\xfb\0\0\0\3'.ljust(512, b'\0')).error, EPERM,
               'a header of another format')
            client.ok(WRITE, 512, 512, data=bytes(512))
        with connect(server, name='a') as client:
            qmp.cmd('eject', id='a', force=True)
            beyond = [client.request(WRITE, M - 512, 512, data=bytes(512)),
                      client.request(READ, M - 512, 512)]
            until_held(qmp, 2, export='a')
            qmp.cmd('blockdev-change-medium', id='a', filename=nbdtest.disk(M // 2, 'half'),
                    format='raw')
            answers = dict(client.receive() for _ in beyond)
            eq([answers[c].error for c in beyond], [ENOSPC, EINVAL], 'past the new end')
            client.ok(WRITE, 0, 512, data=bytes(512))


def refusals_are_reported():
    """Whatever the policy; and cache requests have none."""
    rules = [f'inject-error.{i}.{key}' for i, error in enumerate(REFUSALS)
             for key in ('iotype=write', f'sector={8 * i}', f'errno={error}')]
    with Server([failing('x', *rules, 'inject-error.6.iotype=read', 'inject-error.6.sector=800')
                 ]) as server, server.qmp() as qmp, connect(server, name='x') as client:
        for action in 'stop', 'ignore':
            qmp.cmd('x-set-error-policy', device='x', on_read_error=action, on_write_error=action)
            for i, expected in enumerate(REFUSALS.values()):
                eq(client.call(WRITE, 4 * K * i, 512, data=bytes(512)).error, expected, expected)
            eq(client.call(CACHE, 400 * K, 512).error, EIO, 'cache')
            client.ok(WRITE, 512 * K, 512, data=bytes(512))
        eq(client.pread(400 * K, 512), bytes(512), 'ignored')


def ends_with_the_error(qmp, server):
    """A connection that is being ended, and a server that ends, do not wait."""
    policy(qmp, 'stop', 'stop')
    with connect(server, name='a') as client:
        client.request(WRITE, BAD, 4 * K, data=DATA)
        stopped(qmp)
        qmp.cmd('x-client-kick', export='a')
        eq(client.receive()[1].error, EIO, 'error')
        client.expect_close()
    with connect(server, name='a') as client:
        client.request(WRITE, BAD, 4 * K, data=DATA)
        until_held(qmp, 1, export='a')
        server.proc.terminate()
        eq(client.receive()[1].error, EIO, 'error')
        client.expect_close()


with Server([failing('a', *RULES), export('b')]) as server, server.qmp() as qmp:
    for options in ({}, {'structured': True}):
        with connect(server, name='a', **options) as client, connect(server, name='b') as other:
            if not options:
                reported(qmp, client)
            ignored(qmp, client)
            if not options:
                stops_for_lack_of_space(qmp, client, other)
                stops_reads(qmp, client)
    ends_with_the_error(qmp, server)
    eq(server.wait(), 0, 'exit status')
not_the_images_fault()
refusals_are_reported()
