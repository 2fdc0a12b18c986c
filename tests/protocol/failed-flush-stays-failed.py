#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""After a failed fdatasync every FLUSH fails: the kernel forgets the loss, the server must not."""
import os
import subprocess
import tempfile

import rawnbd
from rawnbd import EIO, FLUSH, connect, eq, skip

SHIM = r'''
#include <errno.h>
#include <stdatomic.h>
static atomic_int calls;
static int once(void) { if (atomic_fetch_add(&calls, 1) == 0) { errno = EIO; return -1; } return 0; }
int fdatasync(int fd) { (void)fd; return once(); }
int fsync(int fd) { (void)fd; return once(); }
'''

if rawnbd.nbdtest.ENGINE != 'threads':
    skip('an fdatasync of io_uring cannot be made to fail from outside')
with tempfile.TemporaryDirectory() as tmp:
    source, shim, image = (os.path.join(tmp, n) for n in ('shim.c', 'shim.so', 'disk.img'))
    with open(source, 'w') as f:
        f.write(SHIM)
    with open(image, 'wb') as f:
        f.truncate(1 << 20)
    cc = os.environ.get('CC', 'cc').split()
    if subprocess.run([*cc, '-shared', '-fPIC', '-o', shim, source], check=False).returncode:
        skip('the compiler makes no shared object')
    env = {'LD_PRELOAD': shim,
           'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
    server = rawnbd.nbdtest.Server(['--format=raw', image], env=env)
    try:
        for structured in False, True:
            with connect(server, structured=structured) as client:
                for _ in range(4):
                    client.pwrite(0, b'\x01' * 4096)
                    eq(client.call(FLUSH).error, EIO, 'FLUSH')
                client.disconnect()
    finally:
        server.stop()
