#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that puts up with all that the protocol allows, and with nothing else.

    tolerant-client.py URI SEED

Until its standard input ends it sends requests at random, and connects anew when its connection is
ended or refused.  Then it prints as JSON how often it did what, and what came of it.  A reply that
the protocol does not allow ends it with status 1.
"""

import collections
import errno
import json
import random
import sys
import threading
import time

import nbd

MAX = 128 << 10
# What may come back besides success: ESHUTDOWN while the connection is being ended, EIO when the
# medium is out, EPERM where the export has become read-only, and for a range past an end that has
# moved EINVAL or ENOSPC.
ALWAYS = {"EIO", "ESHUTDOWN"}
ALLOWED = {
    "pread": ALWAYS | {"EINVAL"},
    "pwrite": ALWAYS | {"ENOSPC", "EPERM"},
    "flush": ALWAYS,
    "trim": ALWAYS | {"EINVAL", "EPERM"},
    "zero": ALWAYS | {"ENOSPC", "EPERM"},
    "cache": ALWAYS | {"EINVAL"},
    "block_status": ALWAYS | {"EINVAL"},
}
# The handshake may end like this; ENOTSUP: there is no such export, at least not without TLS.
NOT_SERVED = {"ENOENT", "ENOTSUP", "ESHUTDOWN", "ENOTCONN", "ECONNRESET", "EPIPE"}


class Client:
    def __init__(self, uri, seed):
        self.uri = uri
        self.rng = random.Random(seed)
        self.counts = collections.Counter()
        self.ending = threading.Event()
        threading.Thread(target=self.watch_input, daemon=True).start()

    def watch_input(self):
        sys.stdin.read()
        self.ending.set()

    def connect(self):
        """A handle; None: not now."""
        h = nbd.NBD()
        h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
        h.set_uri_allow_local_file(True)
        try:
            h.connect_uri(self.uri)
        except nbd.Error as e:
            name = errno.errorcode.get(e.errnum, e.errno)
            self.counts["connect: " + str(name)] += 1
            if e.errnum and name not in NOT_SERVED:
                raise
            return None
        self.counts["connect: done"] += 1
        return h

    def choices(self, h):
        """What this export takes, each with its arguments."""
        size = h.get_size()
        if size < 512:
            return [("flush", ())] if h.can_flush() else []
        length = min(self.rng.randrange(1, MAX), size)
        offset = self.rng.randrange(size - length + 1)
        able = [("pread", (length, offset)), ("cache", (length, offset))]
        if h.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION):
            able.append(("block_status", (length, offset, lambda *_: 0)))
        if h.can_flush():
            able.append(("flush", ()))
        if not h.is_read_only():
            able.append(("pwrite", (self.rng.randbytes(length), offset)))
            if h.can_trim():
                able.append(("trim", (length, offset)))
            if h.can_zero():
                able.append(("zero", (length, offset)))
        return able

    def request(self, h, name, arguments):
        """False: the connection is gone."""
        try:
            getattr(h, name)(*arguments)
            self.counts[name + ": done"] += 1
            return True
        except nbd.Error as e:
            if not h.aio_is_ready():
                self.counts["connection ended"] += 1
                return False
            self.counts["%s: %s" % (name, e.errno)] += 1
            if e.errno not in ALLOWED[name]:
                raise
            return True

    def leave(self, h):
        try:
            h.shutdown()
        except nbd.Error:
            if h.aio_is_ready():
                raise
            self.counts["connection ended"] += 1    # by the server, in the same moment

    def use(self, h):
        able = self.choices(h)
        while able and not self.ending.is_set():
            if not self.request(h, *self.rng.choice(able)):
                return
            able = self.choices(h)
            if self.rng.random() < 0.01:
                self.leave(h)
                return
            time.sleep(self.rng.expovariate(200))

    def run(self):
        while not self.ending.is_set():
            h = self.connect()
            if h:
                self.use(h)
            else:
                self.ending.wait(0.05)
        print(json.dumps(self.counts))


Client(sys.argv[1], int(sys.argv[2])).run()
