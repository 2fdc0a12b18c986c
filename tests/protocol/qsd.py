# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests that ask another server the same."""
import contextlib
import subprocess

from rawnbd import eq, nbdtest, qmptest


class Qsd:
    """qemu-storage-daemon with a monitor."""

    def __init__(self):
        self.path = nbdtest.path('qsd.sock')
        self.proc = subprocess.Popen(
            ['qemu-storage-daemon', '--daemonize', '--pidfile', nbdtest.path('qsd.pid'),
             '--chardev', f'socket,path={self.path},server=on,wait=off,id=c', '--monitor', 'c'])
        eq(self.proc.wait(), 0, 'qemu-storage-daemon')

    def __enter__(self):
        self.qmp = qmptest.Qmp(self.path, negotiate=False)
        self.qmp.cmd('qmp_capabilities')
        return self.qmp

    def __exit__(self, *_):
        self.qmp.close()            # it serves one at a time
        with qmptest.Qmp(self.path, negotiate=False) as qmp:
            qmp.cmd('qmp_capabilities')
            qmp.cmd('quit')
            with contextlib.suppress(ConnectionResetError):     # that is its end, too
                while qmp.receive() is not None:
                    pass
