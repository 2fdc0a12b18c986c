#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lock on the image that goes in a moment, as that of a server just killed, does not refuse it."""

import fcntl
import os
import struct
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

HELD_WRITE = 101


def opened_by(proc, name):
    """Whether the process has the file open."""
    folder = "/proc/%d/fd" % proc.pid
    links = []
    for fd in os.listdir(folder):
        try:
            links.append(os.readlink(os.path.join(folder, fd)))
        except FileNotFoundError:
            pass                        # closed in the meantime
    return name in links


disk = nbdtest.disk(1 << 20)
with open(disk, "r+b") as f:
    lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, HELD_WRITE, 1, 0)
    fcntl.fcntl(f, fcntl.F_OFD_SETLK, lock)
    server = subprocess.Popen([nbdtest.NBD_EXPORT, "--aio=" + nbdtest.ENGINE, "--format=raw",
                               "--socket=" + nbdtest.path("socket"), "--run=true", disk])
    while server.poll() is None and not opened_by(server, disk):
        pass
assert server.wait(60) == 0, "it was refused"
