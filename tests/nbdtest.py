# SPDX-License-Identifier: LGPL-2.1-or-later
"""For Python tests: nbd-export started, stopped and looked after.

    import nbdtest

    with nbdtest.Server(["--format=raw", nbdtest.disk(1 << 20)]) as server:
        h = nbd.NBD()
        h.connect_uri(server.uri)

A server that is still there at the end of the block is stopped, and must then end with status 0.

Run by tests/run; $ENGINE names the event engine, $NBD_EXPORT the program.
"""

import atexit
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ENGINE = os.environ.get("ENGINE", "auto")
NBD_EXPORT = os.environ.get("NBD_EXPORT", os.path.abspath("nbd-export"))

# Short: the path of a unix socket holds 107 bytes.
tmp = tempfile.mkdtemp(prefix="blk-", dir="/tmp")
atexit.register(shutil.rmtree, tmp, ignore_errors=True)

# A time limit's SIGTERM ends the test as an exception does, servers included.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def skip(reason):
    """Ends the test: it cannot run here."""
    print(reason, flush=True)
    sys.exit(77)


def path(name):
    """A path in the test's own folder."""
    return os.path.join(tmp, name)


def disk(size, name="disk"):
    """Makes a sparse file and returns its path."""
    with open(path(name), "wb") as f:
        f.truncate(size)
    return path(name)


def until(condition, what, timeout=60):
    """What the condition says as soon as that is true: for what no event tells."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError("waited %d seconds in vain for %s" % (timeout, what))
        time.sleep(0.001)               # others need the processor, too
    return result


def until_unlocked(name):
    """Returns when nobody has a lock on the file any more: the kernel keeps those of a killed server
    until the last of its requests has ended."""
    def is_free():
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, fcntl.F_OFD_GETLK, lock))[0] == fcntl.F_UNLCK

    with open(name, "r+b") as f:
        until(is_free, "the locks on %s to go" % name)


class Server:
    """A running nbd-export on a unix socket, and where else `args` says."""

    count = 0

    def __init__(self, args, aio=ENGINE, env=None):
        name = "server%d" % Server.count
        Server.count += 1
        self.socket_path = path(name + ".sock")
        self.uri = "nbd+unix:///?socket=" + self.socket_path
        self.log_path = path(name + ".log")
        self.output_path = path(name + ".out")
        ready, ready_child = os.pipe()
        self.args = [NBD_EXPORT, "--aio=" + aio, "--socket=" + self.socket_path,
                     "--ready-fd=%d" % ready_child, *args]
        with open(self.log_path, "wb") as log, open(self.output_path, "wb") as output:
            self.proc = subprocess.Popen(
                self.args, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                pass_fds=(ready_child,), env={**os.environ, **(env or {})})
        os.close(ready_child)
        with os.fdopen(ready, "rb") as f:
            started = f.readline()
        if started != b"READY\n":
            self.kill()
            raise RuntimeError("nbd-export did not start: %s\n%s" % (self.args, self.log()))

    def log(self):
        """What it has printed so far."""
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait(self, timeout=60):
        """The exit status once it has ended; negative: the signal that ended it."""
        return self.proc.wait(timeout)

    def stop(self, signum=signal.SIGTERM, timeout=60):
        """Asks it to end; returns wait()."""
        self.proc.send_signal(signum)
        return self.wait(timeout)

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        status = self.proc.poll()
        if status is None:
            if kind is None:
                status = self.stop()
            else:
                self.kill()
        if kind not in (None, SystemExit) or status:
            print("--- log of %s\n%s" % (self.args, self.log()), flush=True)
        if kind is None and status:
            raise RuntimeError("nbd-export ended with status %d" % status)
