#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Without write cache each write is stable before its reply, and what was before is flushed once."""
from rawnbd import M, SEND_FLUSH, TRIM, WRITE_ZEROES, connect, eq, nbdtest, qmptest
from reloading import Reloading


def debug(name, rest):
    disk = nbdtest.disk(M, name)
    return ['--export-name=d0', '--discard=unmap', '--image-opts',
            f'driver=blkdebug,image.driver=file,image.filename={disk},{rest}']


class Log:
    """What the image is asked, one piece after the other."""

    def __init__(self, name):
        self.path = nbdtest.path(name)
        self.seen = 0

    def new(self):
        """(operation, flags) of the requests that ended since the last call."""
        with open(self.path) as f:
            lines = f.read().splitlines()
        new, self.seen = lines[self.seen:], len(lines)
        return [(line.split()[2], line.split()[5]) for line in lines
                if line in new and line.startswith('< ') and
                line.split()[2] not in ('getlength', 'flush-to-os')]

    def changes(self, client):
        """Writes, zeroes and trims; whether each was stable when it was answered."""
        for number, change in enumerate((lambda: client.pwrite(0, b'x' * 512),
                                         lambda: client.ok(WRITE_ZEROES, 4096, 4096),
                                         lambda: client.ok(TRIM, 65536, 65536))):
            self.new()
            change()
            done = self.new()
            yield 'fua' in done[-1][1] or done[-1][0] == 'flush-to-disk', (number, done)


log = Log('log')
with qmptest.Server(debug('disk', f'log={log.path}')) as server, server.qmp() as qmp:
    def writeback():
        return qmp.cmd('query-block')[0]['inserted']['cache']['writeback']

    with connect(server) as old:
        eq((bool(old.flags & SEND_FLUSH), writeback()), (True, True), 'as it begins')
        for stable, done in log.changes(old):
            eq(stable, False, done)

        qmp.cmd('x-set-write-cache', id='d0', enable=False)
        eq(([op for op, _ in log.new()], writeback()), (['flush-to-disk'], False), 'the switch')
        with connect(server) as promised:
            eq(bool(promised.flags & SEND_FLUSH), False, 'there is nothing to flush')
            for client in (old, promised):
                for stable, done in log.changes(client):
                    eq(stable, True, done)

            qmp.cmd('x-set-write-cache', device='d0', enable=True)
            eq((log.new(), writeback()), ([], True), 'back')
            for stable, done in log.changes(promised):
                eq(stable, True, done)
            for stable, done in log.changes(old):
                eq(stable, False, done)
            with connect(server) as new:
                eq(bool(new.flags & SEND_FLUSH), True, 'flags of a new client')

    # Another medium has the same write cache, whatever it is.
    qmp.cmd('x-set-write-cache', id='d0', enable=False)
    qmp.cmd('blockdev-change-medium', id='d0', filename=nbdtest.disk(M, 'other'), format='raw')
    eq(writeback(), False, 'of another medium')
    qmp.cmd('blockdev-add', driver='file', node_name='n', filename=nbdtest.disk(M, 'third'))
    for on in (False, True):
        qmp.cmd('eject', id='d0')
        qmp.cmd('x-set-write-cache', id='d0', enable=on)        # while there is none
        qmp.cmd('blockdev-insert-medium', id='d0', node_name='n')
        eq(writeback(), on, 'of a third one')

# The flush fails: an error, and the safe side.
log = Log('log2')
server = qmptest.Server(debug('disk2', f'log={log.path},inject-error.0.event=flush_to_disk,'
                              'inject-error.0.once=on'))
try:
    with server.qmp() as qmp, connect(server) as client:
        why = qmp.fails('x-set-write-cache', id='d0', enable=False)
        assert 'is off now' in why and 'could not be flushed' in why, why
        eq(qmp.cmd('query-block')[0]['inserted']['cache']['writeback'], False, 'it is off')
        for stable, done in log.changes(client):
            eq(stable, True, done)
    eq(server.stop(), 1, 'exit status: data may be lost')
finally:
    server.kill()

with qmptest.Server(['--export-name=d0', '--cache=unsafe', '--format=raw',
                     nbdtest.disk(M, 'disk3')]) as server, server.qmp() as qmp:
    assert 'cache=unsafe' in qmp.fails('x-set-write-cache', id='d0', enable=False)

# By a reload; the host's cache is another matter.
image = f'image = {nbdtest.disk(M, "disk4")}'
with Reloading({'d0': [image]}) as server, connect(server) as old:
    said = server.reload({'d0': [image, 'cache = writethrough']})
    assert 'export "d0": changed: cache' in said, said
    with connect(server) as client:
        eq(bool(client.flags & SEND_FLUSH), False, 'flags after a reload')
    said = server.reload({'d0': [image, 'sync = true', 'readonly = true']})
    assert 'export "d0": changed: read-only, cache, sync' in said, said
    with connect(server) as client:
        eq(bool(client.flags & SEND_FLUSH), False, 'flags of sync')
    said = server.reload({'d0': [image, 'cache = none']})
    assert said[-1].endswith('nothing is changed'), said      # the old one keeps the image
