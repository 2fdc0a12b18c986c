#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was read of a medium that is out, and gone by now, is not made up from the next one."""
import os
import shutil

from controlled import client_of
from rawnbd import DF, EIO, M, READ, Closed, Violation, connect, eq, qmptest, skip, until

SHM = '/dev/shm'                        # reads from memory file systems are not copied
if not os.access(SHM, os.W_OK) or shutil.disk_usage(SHM).free < 128 * M:
    skip(f'{SHM} cannot be used')
first, second = (os.path.join(SHM, f'nbd-export-test-{os.getpid()}-{n}') for n in 'ab')
try:
    for path, fill in ((first, b'\x51'), (second, b'\x52')):
        with open(path, 'wb') as f:
            f.write(fill * 32 * M)
    with qmptest.Server(['--export-name=d0', '--format=raw', first]) as server, \
            server.qmp() as qmp, connect(server, structured=True) as client:
        for i in range(32):
            client.request(READ, i * M, M, DF)
        until(lambda: client_of(qmp)['bytes-read'] == 32 * M, 'all of it to be read')
        qmp.cmd('blockdev-change-medium', id='d0', filename=second, format='raw')
        os.truncate(first, 0)
        answers = set()
        try:
            for _ in range(32):
                reply = client.receive()[1]
                answers |= set(reply.data) if reply.error == 0 else {f'error {reply.error}'}
        except (Closed, Violation, ConnectionError):
            pass                        # in the middle of an answer there is no other way to say so
        eq(answers - {0x51, f'error {EIO}'}, set(), 'answers')
        with connect(server) as client:
            eq(client.pread(0, 512), b'\x52' * 512, 'the second medium')
finally:
    for path in (first, second):
        os.unlink(path)
