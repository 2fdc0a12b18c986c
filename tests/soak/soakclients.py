# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of a soak: fio that verifies what it has written, clients that put up with much, and one of
the control socket that looks on."""

import collections
import json
import os
import random
import subprocess
import sys
import threading

import nbdtest

HERE = os.path.dirname(os.path.abspath(__file__))


class Media:
    """When the medium of an export is out: for who has just tried to connect."""

    moves = collections.Counter()      # odd: it is out

    @classmethod
    def moved(cls, export):
        cls.moves[export] += 1

    @classmethod
    def was_out_since(cls, export, then):
        return cls.moves[export] != then or cls.moves[export] % 2


class Fio(threading.Thread):
    """Writes and reads at random and verifies all of it, again and again until stop().  Each run
    has connections of its own, which are refused while the medium is out."""

    def __init__(self, name, export, uri, offset):
        super().__init__(name=name)
        self.export = export
        self.uri = uri
        self.offset = offset
        self.runs = 0
        self.refused = 0
        self.output = None        # of the run that failed
        self.ending = False
        self.killed = False
        self.proc = None

    def start_fio(self, uri, *args):
        """Each run has other data; the same number means the same."""
        return subprocess.Popen(
            ["fio", "--name=" + self.name, "--ioengine=nbd", "--uri=" + uri, "--rw=randrw",
             "--bsrange=4k-64k", "--iodepth=8", "--offset=" + self.offset, "--size=12M",
             "--thinktime=3000", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
             "--randseed=%d" % (self.runs + 1), "--verify_state_save=0", "--thread", *args],
            cwd=nbdtest.tmp, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self):
        # At its end the medium may have been out each time it tried.
        while (not self.ending or not (self.runs or self.killed)) and self.output is None:
            then = Media.moves[self.export]
            self.proc = self.start_fio(self.uri)
            output = self.proc.communicate()[0]
            if "server has no export named" in output and \
                    Media.was_out_since(self.export, then):
                self.refused += 1
            elif self.proc.returncode or "err= 0" not in output:
                self.output = output
            else:
                self.runs += 1

    def verify(self, uri):
        """What the last run has written is there."""
        self.runs -= 1
        proc = self.start_fio(uri, "--verify_only")
        output = proc.communicate()[0]
        assert proc.returncode == 0 and "err= 0" in output, output
        self.runs += 1

    def check(self):
        assert self.output is None, "fio %s:\n%s" % (self.name, self.output)

    def stop(self, timeout):
        """Lets the run come to its end."""
        self.ending = True
        self.join(timeout)
        assert not self.is_alive(), "fio %s does not come to an end" % self.name
        self.check()
        assert self.runs, "fio %s has not come to an end once" % self.name

    def kill(self):
        self.ending = self.killed = True
        if self.proc:
            self.proc.kill()
        self.join()


class Tolerant:
    """A tolerant-client.py."""

    counts = collections.Counter()     # of all that have ended

    def __init__(self, uri, seed):
        self.proc = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "tolerant-client.py"), uri, str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check(self):
        if self.proc.poll() is not None:
            raise AssertionError("a client has ended: %s" % self.proc.stderr.read())

    def stop(self, timeout=60):
        output, error = self.proc.communicate(timeout=timeout)
        assert self.proc.returncode == 0, error
        counts = json.loads(output)
        Tolerant.counts.update(counts)
        return counts

    def kill(self):
        self.proc.kill()
        self.proc.wait()


class Onlooker(threading.Thread):
    """Asks for all that can be asked for out of band, whatever command is at work."""

    def __init__(self, server, seed):
        super().__init__(name="onlooker")
        self.server = server
        self.rng = random.Random(seed)
        self.ending = threading.Event()
        self.looks = 0
        self.error = None

    @staticmethod
    def commands(schema):
        """Those that need no arguments."""
        return [name for name, info in sorted(schema.commands.items())
                if info.get("allow-oob") and name not in ("quit", "x-client-kick") and
                all("default" in m for m in schema.types[info["arg-type"]]["members"])]

    def run(self):
        try:
            with self.server.qmp(oob=True) as qmp:
                commands = self.commands(qmp.schema)
                while not self.ending.wait(self.rng.uniform(0, 0.02)):
                    qmp.oob(self.rng.choice(commands))
                    qmp.events.clear()
                    self.looks += 1
        except Exception as e:
            self.error = e

    def check(self):
        if self.error:
            raise self.error

    def stop(self):
        self.kill()
        self.check()

    def kill(self):
        self.ending.set()
        self.join()
