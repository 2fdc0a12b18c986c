#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A medium is taken out and another one put in while clients are connected."""
import os

from rawnbd import EINVAL, EIO, ENOSPC, EPERM, ERR_UNKNOWN, K, M, OPT_INFO, READ, READ_ONLY, TRIM, \
    WRITE, Client, connect, eq, must, nbdtest, qmptest, \
    until, until_read

SLOW_NS = 300000000


def disk(name, fill, size=M):
    with open(nbdtest.path(name), 'wb') as f:
        f.write(fill * size)
    return nbdtest.path(name)


def tray(qmp, is_open):
    data = qmp.wait_event('DEVICE_TRAY_MOVED')
    eq((data['device'], data['id'], data['tray-open']), ('d0', 'd0', is_open), 'event')
    eq(qmp.cmd('query-block')[0]['tray_open'], is_open, 'tray')


def inserted(qmp):
    return qmp.cmd('query-block')[0].get('inserted', {}).get('file')


def turned_away(server):
    with Client(server) as client:
        eq(client.info('d0')[0], ERR_UNKNOWN, 'NBD_OPT_GO without a medium')
        eq(client.info('d0', option=OPT_INFO)[0], ERR_UNKNOWN, 'NBD_OPT_INFO')


a, b = disk('a', b'A'), disk('b', b'B', 2 * M)

# Requests fail.  A slow one that is in flight is done first.
slow = (f'driver=blkdebug,image.driver=file,image.filename={a},inject-error.0.sector=8,'
        f'inject-error.0.iotype=write,inject-error.0.once=on,inject-error.0.delay-ns={SLOW_NS}')
with qmptest.Server(['--export-name=d0', '--image-opts', slow]) as server, server.qmp() as qmp, \
        connect(server) as client:
    late = client.request(WRITE, 4 * K, 512, data=b'w' * 512)
    until_read(client)
    until(lambda: qmp.cmd('x-query-exports')[0]['in-flight'] or not client.silent(),
          'the write to begin')
    qmp.cmd('eject', id='d0')
    eq(client.receive()[1].error, 0, 'the write in flight')
    with open(a, 'rb') as f:
        eq(f.read()[4 * K:4 * K + 512], b'w' * 512, 'it is in the image')
    tray(qmp, True)
    eq(inserted(qmp), None, 'nothing is in')
    reply = client.call(READ, 0, 512)
    eq(reply.error, EIO, 'without a medium')
    turned_away(server)
    with Client(server) as other:
        other.send_option(1, b'd0')
        other.expect_close()
    qmp.cmd('eject', id='d0')                       # again: nothing to do
    assert 'not found' in qmp.fails('blockdev-insert-medium', 'DeviceNotFound', id='d0',
                                    node_name='nope')
    qmp.cmd('blockdev-add', driver='raw', node_name='b', file={'driver': 'file', 'filename': b})
    qmp.cmd('blockdev-insert-medium', id='d0', node_name='b')
    assert 'in use by export "d0"' in qmp.fails('blockdev-insert-medium', id='d0', node_name='b')
    assert 'export "d0"' in qmp.fails('blockdev-del', node_name='b')
    eq(client.call(READ, 0, 512).error, EIO, 'the tray is open')
    qmp.cmd('blockdev-close-tray', id='d0')
    tray(qmp, False)
    eq(qmp.wait_event('X_EXPORT_RESIZED'), {'id': 'd0', 'size': 2 * M}, 'event')
    eq(client.pread(0, 512), b'B' * 512, 'the other medium')
    eq(client.pread(2 * M - 512, 512), b'B' * 512, 'beyond the end that the client knows')
    client.pwrite(0, b'n' * 512)

    # Smaller, and to be read only; a wrong one changes nothing.
    small = disk('small', b'S', 512 * K)
    assert 'nope' in qmp.fails('blockdev-change-medium', id='d0', filename='/nope')
    eq((inserted(qmp), client.pread(0, 512)), (b, b'n' * 512), 'the old one stays')
    qmp.cmd('blockdev-change-medium', id='d0', filename=small, format='raw',
            read_only_mode='read-only')
    eq((inserted(qmp), client.pread(0, 512)), (small, b'S' * 512), 'the small one')
    eq(client.call(READ, 512 * K, 512).error, EINVAL, 'read past its end')
    eq(client.call(WRITE, 512 * K, 512, data=b'x' * 512).error, ENOSPC, 'write past its end')
    eq(client.call(WRITE, 0, 512, data=b'x' * 512).error, EPERM, 'it is read-only')
    with connect(server, name='d0') as new:
        eq((new.size, bool(new.flags & READ_ONLY)), (512 * K, True), 'what a new client is told')
    qmp.cmd('blockdev-del', node_name='b')
    with open(b, 'rb') as f:
        eq(f.read(512), b'n' * 512, 'the second medium')

    # The tray without the medium.
    qmp.events.clear()
    assert 'not open' in qmp.fails('blockdev-remove-medium', id='d0')
    qmp.cmd('blockdev-open-tray', device='d0')
    tray(qmp, True)
    eq((client.call(READ, 0, 512).error, inserted(qmp)), (EIO, small), 'out of reach')
    qmp.cmd('blockdev-close-tray', device='d0')
    eq(client.pread(0, 512), b'S' * 512, 'in reach')
    qmp.fails('eject', 'DeviceNotFound', id='nope')
    qmp.fails('eject')

# What was written cannot be flushed: it stays in, unless it is forced out; and that is not forgotten.
bad = (f'driver=blkdebug,image.driver=file,image.filename={a},'
       'inject-error.0.event=flush_to_disk')
server = qmptest.Server(['--export-name=d0', '--image-opts', bad])
try:
    with server.qmp() as qmp, connect(server) as client:
        client.pwrite(0, b'x' * 512)
        for command in ('eject', 'blockdev-open-tray'):
            why = qmp.fails(command, id='d0')
            assert 'stays in' in why and 'could not be flushed' in why, why
        eq(client.pread(0, 512), b'x' * 512, 'it stays')
        eq(qmp.cmd('query-block')[0]['tray_open'], False, 'tray')
        qmp.cmd('eject', id='d0', force=True)
        eq(client.call(READ, 0, 512).error, EIO, 'it is out')
    eq((server.stop(), 'written data may be lost' in server.log()), (1, True), 'it says so')
finally:
    server.kill()

# Requests wait, also those that come in the meantime; a mode that changes holds at once.
with qmptest.Server(['--export-name=d0', '--on-eject=wait', '--format=raw', a]) as server, \
        server.qmp() as qmp, connect(server) as client, connect(server) as leaver:
    for round_ in range(3):
        before = [client.request(READ, i * 4096, 4096) for i in range(20)]
        qmp.cmd('eject', id='d0')
        turned_away(server)
        meanwhile = [client.request(WRITE, i * 512, 512, data=b'W' * 512) for i in range(4)]
        leaver.request(READ, 0, 512)
        until_read(leaver)
        must(leaver.silent(), 'it waits')
        other = disk(f'other{round_}', b'O')
        qmp.cmd('blockdev-change-medium', id='d0', filename=other, format='raw')
        for _ in before + meanwhile:        # one by one in flight, or waiting
            cookie, reply = client.receive()
            must(cookie in before + meanwhile and reply.error == 0, 'an answer', reply.error)
        eq(leaver.receive()[1].data[:1] in (b'O', b'W'), True, 'of the new medium')
        eq(client.pread(0, 4 * K), b'W' * 2 * K + b'O' * 2 * K, 'only what has waited')
    qmp.cmd('eject', id='d0')
    client.request(TRIM, 0, 512)
    leaver.request(READ, 0, 512)
    until_read(leaver)
    leaver.close()
    # The end of the server ends the wait.

# A medium whose bitmap clients may read stays in.
image = nbdtest.path('q.qcow2')
os.system(f'qemu-img create -q -f qcow2 {image} 1M && qemu-img bitmap --add --disable {image} b0')
with qmptest.Server(['--export-name=d0', '--format=qcow2', '--bitmap=b0', image]) as server, \
        server.qmp() as qmp:
    for command in ('eject', 'blockdev-change-medium'):
        extra = {'filename': b, 'format': 'raw'} if 'change' in command else {}
        assert "bitmap 'b0'" in qmp.fails(command, id='d0', **extra)
    eq([e for e in qmp.events if e['event'] == 'DEVICE_TRAY_MOVED'], [], 'the tray stays closed')
    qmp.cmd('block-dirty-bitmap-add', node='d0', name='b1')
    assert 'in use' in qmp.fails('block-dirty-bitmap-remove', node='d0', name='b0')
