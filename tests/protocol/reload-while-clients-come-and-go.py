#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloads while clients connect, work and leave in loops: an export that stays never fails."""
import threading

from rawnbd import nbdtest
from rawnbd import Client, connect
from reloading import Reloading

image = {name: f'image = {nbdtest.disk(1 << 20, name)}' for name in 'abc'}
directory = nbdtest.path('dir')
nbdtest.os.mkdir(directory)
nbdtest.disk(1 << 20, 'dir/d')
ways = [
    {'a': [image['a']], 'b': [image['b']]},
    {'a': [image['a'], 'throttle.iops-total = 100000', 'description = x'], 'c': [image['b']]},
    {'a': [image['a'], 'shared = 50'], 'b': [image['b'], 'hidden = true'], 'c': [image['c']]},
]
failures, done = [], threading.Event()


def stays(server, name):
    n = 0
    while not done.is_set() or n == 0:
        try:
            with connect(server, name=name) as client:
                client.pwrite(4096 * n, b'x' * 4096)
                client.pread(4096 * n, 4096)
                client.disconnect()
        except Exception as e:
            failures.append(f'{name}: {e!r}')
            return
        n = (n + 1) % 16


def may_go(server, name):
    while not done.is_set():
        try:
            with Client(server) as client:
                client.option(3)
                client.go(name)
                client.pread(0, 4096)
        except Exception:
            pass      # the export, or its image, is not there at the moment


with Reloading(ways[0], args=[f'--export-dir={directory}', '--format=raw']) as server:
    threads = [threading.Thread(target=stays, args=(server, name)) for name in 'aad']
    threads += [threading.Thread(target=may_go, args=(server, name)) for name in 'bc']
    for thread in threads:
        thread.start()
    for i in range(12):
        server.reload(ways[i % 3])
    done.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
