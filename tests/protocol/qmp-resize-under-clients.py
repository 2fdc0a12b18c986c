#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image grows and shrinks while clients read and write it."""
import os
import subprocess
import threading

from rawnbd import EINVAL, ENOSPC, K, M, READ, WRITE, connect, eq, must, nbdtest, qmptest


def load(server, stop, wrong):
    """Writes what nobody else does, and reads it again."""
    n = 0
    try:
        with connect(server) as client:
            while not stop.is_set() or n < 50:
                data = bytes([n % 256]) * (64 * K)
                client.pwrite(n % 8 * 64 * K, data)
                eq(client.pread(n % 8 * 64 * K, 64 * K) == data, True, 'data')
                n += 1
    except Exception as e:
        wrong.append((n, e))


def size_of(qmp):
    return qmp.cmd('query-block')[0]['inserted']['image']['virtual-size']


for fmt in ('raw', 'qcow2'):
    image = nbdtest.path(fmt)
    subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, image, '1M'], check=True)
    with qmptest.Server(['--export-name=d0', f'--format={fmt}', image]) as server, \
            server.qmp() as qmp, connect(server) as client:
        stop, wrong = threading.Event(), []
        if fmt == 'qcow2':
            qmp.cmd('block-dirty-bitmap-add', node='d0', name='b', persistent=True,
                    granularity=65536)
        thread = threading.Thread(target=load, args=(server, stop, wrong))
        thread.start()
        try:
            for size in range(2, 12):
                qmp.cmd('block_resize', device='d0', size=size * M)
                eq(size_of(qmp), size * M, 'size')
                eq(qmp.wait_event('X_EXPORT_RESIZED'), {'id': 'd0', 'size': size * M}, 'event')
                client.pwrite(size * M - 512, b'e' * 512)
            why = qmp.fails('block_resize', device='d0', size=M)
            assert 'x-force' in why and str(11 * M) in why, why
            qmp.cmd('block_resize', device='d0', size=M, x_force=True)
        finally:
            stop.set()
            thread.join()
        eq(wrong, [], 'data')
        eq((client.call(READ, 2 * M, 512).error, client.call(WRITE, M, 512, data=b'x' * 512).error),
           (EINVAL, ENOSPC), 'past the end')
        node = qmp.cmd('query-block')[0]['inserted']['node-name']
        qmp.cmd('block_resize', node_name=node, size=3 * M)
        eq(client.pread(2 * M - 512, 512), bytes(512), 'what is new is zero')
        with connect(server) as new:
            eq(new.size, 3 * M, 'what a new client is told')
        file = qmp.cmd('query-blockstats')[0]['parent']['node-name']
        assert f'node "{node}"' in qmp.fails('block_resize', node_name=file, size=M)
        qmp.fails('block_resize', device='d0', size=-1)
        qmp.fails('block_resize', size=M)
        qmp.fails('block_resize', device='d0', node_name=node, size=M)
        if fmt == 'qcow2':
            bitmap, = qmp.cmd('query-block')[0]['inserted']['dirty-bitmaps']
            must(bitmap['count'] >= 8 * 64 * K and bitmap['recording'], 'the bitmap follows', bitmap)
    subprocess.run(['qemu-img', 'check', '-q', '-f', fmt, image] if fmt == 'qcow2' else ['true'],
                   check=True)
    eq('3 MiB' in os.popen(f'qemu-img info -f {fmt} {image}').read(), True, 'qemu-img info')

# A part of an image keeps its size.
with qmptest.Server(['--export-name=d0', '--format=raw', '--offset=512', nbdtest.path('raw')]) \
        as server, server.qmp() as qmp:
    assert 'a part' in qmp.fails('block_resize', device='d0', size=M)
