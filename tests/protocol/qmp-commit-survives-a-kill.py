#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server that is killed while it commits, at any moment, leaves an image that shows all that its
client has flushed, by the name that it had at the start and by the one that it has in the end."""

import atexit
import os
import random
import subprocess

import nbd
from rawnbd import nbdtest, qmptest

SIZE = 8 << 20
NAMES = ["base", "mid", "top"]


def img(*args):
    subprocess.run(["qemu-img", *args], check=True, capture_output=True)


class Disk:
    """A chain of three images, a server for it, a client, and what that has written."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.model = bytearray(SIZE)
        for i, name in enumerate(NAMES):
            path = nbdtest.path(name)
            if os.path.exists(path):
                os.unlink(path)
            if i == 0:
                img("create", "-q", "-f", "qcow2", path, str(SIZE))
            else:
                img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", NAMES[i - 1], path)
            self.fill(path)
        self.server = qmptest.Server(["--format=qcow2", "--export-name=d0", nbdtest.path("top")])
        atexit.register(self.server.kill)
        self.qmp = self.server.qmp()
        self.h = nbd.NBD()
        self.h.set_export_name("d0")
        self.h.connect_uri(self.server.uri.replace(":///", ":///d0"))

    def piece(self):
        at = self.random.randrange(SIZE - 200000)
        data = self.random.randbytes(100) * self.random.randrange(1, 2000)
        self.model[at:at + len(data)] = data
        return data, at

    def fill(self, path):
        """Of each image some parts; the last one's are the client's."""
        with qmptest.nbdtest.Server(["--format=qcow2", path]) as server:
            h = nbd.NBD()
            h.connect_uri(server.uri)
            for _ in range(8):
                h.pwrite(*self.piece())
            h.shutdown()

    def write(self, n):
        for _ in range(n):
            self.h.pwrite(*self.piece())
            self.h.flush()

    def start(self, **args):
        self.qmp.cmd("block-commit", device="d0", base=nbdtest.path("base"), **args)

    def killed(self, *names):
        """Ends it; these show what the client has flushed."""
        self.server.kill()
        self.qmp.close()
        for name in NAMES:
            nbdtest.until_unlocked(nbdtest.path(name))
        raw = nbdtest.path("raw")
        for name in names:
            img("convert", "-f", "qcow2", "-O", "raw", nbdtest.path(name), raw)
            with open(raw, "rb") as f:
                assert f.read() == self.model, "%s shows other data" % name


def while_it_copies():
    disk = Disk(1)
    disk.start(speed=1 << 20)
    disk.qmp.wait_event("X_JOB_PROGRESS", lambda data: data["current-progress"] > 0)
    disk.write(3)
    disk.killed("top")


def when_it_is_ready():
    disk = Disk(2)
    disk.start()
    disk.qmp.wait_event("BLOCK_JOB_READY")
    disk.write(3)
    disk.killed("top")


def while_it_ends(seed):
    disk = Disk(seed)
    disk.start()
    disk.qmp.wait_event("BLOCK_JOB_READY")
    disk.write(3)
    disk.qmp.cmd("job-complete", id="d0")
    disk.qmp.wait_event("JOB_STATUS_CHANGE", lambda data: data["status"] == "waiting")
    disk.killed("top")


def when_it_is_over():
    disk = Disk(4)
    disk.start()
    disk.qmp.wait_event("BLOCK_JOB_READY")
    disk.qmp.cmd("job-complete", id="d0")
    disk.qmp.wait_event("BLOCK_JOB_COMPLETED")
    disk.write(6)
    disk.killed("base", "top")


def in_the_middle():
    disk = Disk(5)
    disk.start(top=nbdtest.path("mid"))
    disk.write(3)
    disk.qmp.wait_event("JOB_STATUS_CHANGE", lambda data: data["status"] == "pending")
    disk.killed("top")


while_it_copies()
when_it_is_ready()
while_it_ends(3)
when_it_is_over()
in_the_middle()
