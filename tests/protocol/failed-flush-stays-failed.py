#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""After a failed flush every FLUSH and FUA fails: the kernel forgets the loss, the server must not.

The medium is a loop device whose file cannot grow, because its file system is full; later it can.
"""
import os
import subprocess
import tempfile

import rawnbd
from rawnbd import EIO, ENOSPC, FLUSH, FUA, WRITE, connect, eq, skip

MIB = 1 << 20


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def flush_of_a_fresh_server(device):
    server = rawnbd.nbdtest.Server(['--format=raw', device])
    try:
        with connect(server) as client:
            client.pwrite(0, b'\x02' * MIB)
            client.ok(FLUSH)
            client.disconnect()
    finally:
        server.stop()


def flush_fails_for_good(server, full_disk):
    for structured in False, True:
        with connect(server, structured=structured) as client:
            client.pwrite(0, b'\x01' * 8 * MIB)
            failed = client.call(FLUSH).error
            assert failed in (EIO, ENOSPC), failed
            run('mount', '-o', 'remount,size=64m', full_disk)
            for _ in range(3):
                eq(client.call(FLUSH).error, failed, 'FLUSH')
                eq(client.call(WRITE, 0, 512, FUA, bytes(512)).error, failed, 'FUA')
            client.pwrite(0, bytes(512))
            client.disconnect()


if os.geteuid() != 0:
    skip('only root can make a disk that fails')
with tempfile.TemporaryDirectory() as full_disk:
    run('mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', full_disk)
    try:
        backing = os.path.join(full_disk, 'disk')
        with open(backing, 'wb') as f:
            f.truncate(16 * MIB)
        loop = run('losetup', '--find', '--show', backing)
        try:
            server = rawnbd.nbdtest.Server(['--format=raw', loop])
            try:
                flush_fails_for_good(server, full_disk)
            finally:
                server.proc.terminate()
                eq(server.wait(), 1, 'the exit status tells of the failed flush')
            flush_of_a_fresh_server(loop)
        finally:
            run('losetup', '--detach', loop)
    finally:
        run('umount', full_disk)
