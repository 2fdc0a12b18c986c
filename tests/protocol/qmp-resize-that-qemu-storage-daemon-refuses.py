#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While a client is connected to its export, an image is resized: qemu-storage-daemon refuses that,
here the same client can use what is new."""
import nbd
from qsd import Qsd
from rawnbd import M, eq, nbdtest, qmptest


def serve(qmp, name):
    """Serves a file of 1 MiB as export d0 in the words that both know."""
    file = {'driver': 'file', 'filename': nbdtest.disk(M, name)}
    qmp.cmd_args('blockdev-add', {'driver': 'raw', 'node-name': 'disk', 'file': file})
    qmp.cmd_args('block-export-add', {'type': 'nbd', 'id': 'd0', 'node-name': 'disk', 'name': 'd0',
                                      'writable': True})


def connect(path):
    client = nbd.NBD()
    client.set_export_name('d0')
    client.connect_unix(path)
    eq(client.get_size(), M, 'size')
    client.set_strict_mode(0)       # what lies beyond it is the server's to judge
    return client


def resize(qmp):
    qmp.cmd_args('block_resize', {'node-name': 'disk', 'size': 2 * M})


def fails(function, *args):
    try:
        function(*args)
    except (nbd.Error, qmptest.QmpError) as e:
        return str(e)
    raise AssertionError('it does it')


def is_there(client):
    client.pwrite(b'new ' * 128, M)
    client.flush()
    return client.pread(512, M) == b'new ' * 128


with Qsd() as qmp:
    path = nbdtest.path('qsd-nbd.sock')
    qmp.cmd_args('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': path}}})
    serve(qmp, 'theirs')
    client = connect(path)
    why = fails(resize, qmp)
    assert "'resize'" in why and 'unshared' in why, why
    fails(client.pwrite, b'new ' * 128, M)
    client.shutdown()

with qmptest.Server(['--format=raw', nbdtest.disk(M)]) as server, server.qmp() as qmp:
    serve(qmp, 'ours')
    client = connect(server.socket_path)
    fails(client.pwrite, b'new ' * 128, M)
    resize(qmp)
    eq(qmp.wait_event('X_EXPORT_RESIZED'), {'id': 'd0', 'size': 2 * M}, 'event')
    assert is_there(client)
    client.shutdown()
    with open(nbdtest.path('ours'), 'rb') as f:
        eq(f.read()[M:], b'new ' * 128 + bytes(M - 512), 'file')
