#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--export-dir: files are exports by name, open while in use; no name leads out of the folder."""
import os
import time

from rawnbd import nbdtest
from rawnbd import ERR_UNKNOWN, OPT_GO, OPT_LIST, Client, connect, eq, info_data

directory = nbdtest.path('images')
os.mkdir(directory)
os.mkdir(os.path.join(directory, 'folder'))
for name in ('images/disk.img', 'images/ünï', 'images/.hidden', 'outside', 'images/folder/deep'):
    nbdtest.disk(1 << 20, name)
for link, target in (('out', '../outside'), ('absolute', directory + '/disk.img'),
                     ('in', 'ünï'), ('fd', '/proc/self/fd/0'), ('up', 'folder/../../outside')):
    os.symlink(target, os.path.join(directory, link))
os.mkfifo(os.path.join(directory, 'fifo'))


def open_files(server):
    folder = f'/proc/{server.proc.pid}/fd'
    return sum(os.path.realpath(os.path.join(folder, fd)).endswith('disk.img')
               for fd in os.listdir(folder))


args = [f'--export-dir={directory}', '--format=raw', '--default-export=disk.img']
with nbdtest.Server(args) as s:
    with Client(s) as client:
        names = [data[4:4 + data[3]].decode() for kind, data in client.option(OPT_LIST)
                 if kind == 2]
        eq(sorted(names), ['disk.img', 'in', 'ünï'], 'names')
        for name in ('out', 'absolute', 'fd', 'up', 'fifo', 'folder', '.hidden', '.', '..', '/',
                     '../outside', 'folder/deep', '/etc/passwd', 'disk.img/', 'disk.img\0',
                     'none', 'x' * 300, 'folder/../disk.img'):
            eq(client.option(OPT_GO, info_data(name))[0][0], ERR_UNKNOWN, repr(name))
    eq(open_files(s), 0, 'nothing is open')
    with connect(s, name='disk.img') as one, connect(s, name='') as two:
        one.pwrite(0, b'x' * 512)
        eq(two.pread(0, 512), b'x' * 512, 'two clients of one export')
        assert open_files(s) > 0, 'the image is not open'
        one.disconnect()
        two.disconnect()
    end = time.monotonic() + 30
    while open_files(s) and time.monotonic() < end:
        time.sleep(0.01)
    eq(open_files(s), 0, 'the image stays open')
    os.rename(os.path.join(directory, 'disk.img'), os.path.join(directory, 'new'))
    with connect(s, name='new') as client:
        eq(client.pread(0, 512), b'x' * 512, 'under its new name')
