#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fio verifies over NBD from four clients while a seeded script changes everything that can be
changed: limits, sizes, snapshots, media, caches, exports, credentials, settings.  No error may come
of it that the protocol does not allow, no data be lost, no memory or descriptor be left behind.

    SOAK_SECONDS=3600 SEED=1 live-control.py
"""

import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, HERE)
import metricstest  # noqa: E402
import nbdtest  # noqa: E402
import qmptest  # noqa: E402
import soakactions  # noqa: E402
from soakactions import MIB  # noqa: E402
import soakclients  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
# Between these all is put back as it was, and what the process holds is looked at.
PHASE_SECONDS = max(8, min(60, SECONDS / 6))
# How much more memory a process may hold at the end than when it was warm; a sanitizer keeps what
# was freed.
GROWTH_MAX = (300 if os.environ.get("SANITIZERS") else 12) * MIB
START = time.monotonic()


def say(text):
    print("%8.3f %s" % (time.monotonic() - START, text), flush=True)


# ---- the server ----

class Server(qmptest.Server):
    def __init__(self):
        self.config = nbdtest.path("nbd-export.conf")
        self.keys = nbdtest.path("keys.psk")
        self.write_keys("carol")
        self.write_config(None, "first")
        super().__init__(["--config=" + self.config, "--bind=127.0.0.1:0", "--metrics=0", "-v"])
        self.metrics = metricstest.Metrics(self)
        self.page = self.metrics.page()

    def write_keys(self, other):
        """alice's key stays what it is."""
        with open(self.keys + ".new", "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("alice:%s\n%s:%s\n" % ("0123456789abcdef" * 4, other, "ab" * 32))
        os.rename(self.keys + ".new", self.keys)

    def write_config(self, more, text):
        """more: an export besides the others; text: a setting that differs."""
        lines = ["[generic]", "tls = on", "tls-psk = " + self.keys,
                 "removed-clients = disconnect", "drain-timeout = 20"]
        for name, format in soakactions.FORMATS.items():
            wait = "fail" if name == soakactions.VICTIM else "wait"
            lines += ["[%s]" % name, "image = " + nbdtest.path(name), "format = " + format,
                      "discard = unmap", "on-eject = " + wait]
        if more:
            lines += ["[%s]" % more, "image = " + nbdtest.disk(MIB, more),
                      "format = raw", "description = " + text]
        with open(self.config, "w") as file:
            file.write("\n".join(lines) + "\n")

    def uri_of(self, export):
        return "nbd+unix:///%s?socket=%s" % (export, self.socket_path)

    def tls_uri_of(self, export):
        return "nbds+unix://alice@/%s?socket=%s&tls-psk-file=%s" % (export, self.socket_path,
                                                                    self.keys)

    def tcp_uri_of(self, export):
        port = re.search(r"listening on 127.0.0.1:(\d+)", self.log())[1]
        return "nbd://127.0.0.1:%s/%s" % (port, export)

    def check_metrics(self):
        """What is counted of the exports that stay never goes backwards."""
        page = self.metrics.page()
        for (name, labels), value in self.page.items():
            if dict(labels).get("export") in soakactions.EXPORTS and \
                    name.endswith(("_total", "_bucket", "_count", "_sum")):
                now = page[(name, labels)]
                assert now >= value, "%s%s: %s after %s" % (name, labels, now, value)
        self.page = page


def make_images():
    path = nbdtest.path
    soakactions.qemu_img("create", "-q", "-f", "qcow2", path("chain"), "64M")
    soakactions.qemu_img("create", "-q", "-f", "qcow2", path("tcp"), "64M")
    for name, size in (("raw", 64), (soakactions.VICTIM, 16), ("victim2", 8)):
        nbdtest.disk(size * MIB, name)


# ---- what the process holds ----

class Holdings:
    """Descriptors (without those of clients), nodes and memory, when all is as it was."""

    def __init__(self, server, qmp):
        self.proc = "/proc/%d/" % server.proc.pid
        self.qmp = qmp
        self.samples = []

    def resident(self):
        with open(self.proc + "statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def clients(self):
        return {client["id"] for client in self.qmp.cmd("x-query-clients")}

    def descriptors(self):
        """None: clients have come or gone meanwhile."""
        before = self.clients()
        n = len(os.listdir(self.proc + "fd"))
        return n - len(before) if self.clients() == before else None

    def least_descriptors(self):
        """A connection that has just been accepted, or is just being closed, is in no list."""
        return min(nbdtest.until(self.descriptors, "a moment in which no client comes or goes")
                   for _ in range(20))

    def take(self):
        sample = (self.least_descriptors(), len(self.qmp.cmd("query-named-block-nodes")),
                  self.resident())
        say("holds %d descriptors, %d nodes, %.1f MiB" % (*sample[:2], sample[2] / MIB))
        self.samples.append(sample)

    def check(self):
        """The first third is for getting warm."""
        warm = self.samples[len(self.samples) // 3:]
        held = [s[0] for s in warm]
        # A connection that is just being closed may be among them.
        assert max(held) - min(held) <= 2 and len({s[1] for s in warm}) == 1, \
            "descriptors, nodes: %s" % warm
        growth = min(s[2] for s in warm[-2:]) - min(s[2] for s in warm[:2])
        assert growth < GROWTH_MAX, "memory grows: %s" % [s[2] for s in warm]


# ---- the soak ----

def run_phase(soak, clients, seconds):
    actions = list(soakactions.ACTIONS)
    weights = list(soakactions.ACTIONS.values())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        action = soak.rng.choices(actions, weights)[0]
        say("- " + action.__name__)
        soak.count("action " + action.__name__)
        action(soak)
        soak.clean()
        for client in clients:
            client.check()
        time.sleep(soak.rng.uniform(0, 0.2))


def start_clients(server, soak):
    """The rng is asked in a fixed order, so that a seed means the same actions."""
    tcp = server.tcp_uri_of("tcp")
    fios = [soakclients.Fio("a", "chain", server.uri_of("chain"), "0"),
            soakclients.Fio("b", "chain", server.uri_of("chain"), "32M"),
            soakclients.Fio("c", "raw", server.uri_of("raw"), "16M"),
            soakclients.Fio("d", "tcp", tcp, "1M")]
    for fio in fios:
        fio.start()
    victims = [soakclients.Tolerant(uri(soakactions.VICTIM), soak.rng.randrange(1 << 30))
               for uri in (server.uri_of, server.tls_uri_of)]
    onlooker = soakclients.Onlooker(server, SEED)
    onlooker.start()
    return fios, victims, onlooker


def soak_server(server, soak):
    holdings = Holdings(server, soak.qmp)
    fios, victims, onlooker = start_clients(server, soak)
    try:
        while time.monotonic() < START + SECONDS:
            run_phase(soak, fios + victims + [onlooker], PHASE_SECONDS)
            soakactions.settle(soak)
            holdings.take()
        for client in victims:
            assert client.stop()["pread: done"], "a client could never read"
        for fio in fios:
            fio.stop(120)
        onlooker.stop()
        assert onlooker.looks, "it could never look"
        soak.count("looks out of band", onlooker.looks)
        holdings.check()
    except BaseException:
        for client in fios + victims + [onlooker] + [e["client"] for e in soak.dynamic.values()]:
            if client:
                client.kill()
        raise
    return fios


def check_images(fios):
    """Those are whole, and what fio has written last can be read from them by another server."""
    for name in ("chain", "tcp"):
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", nbdtest.path(name)], check=True)
    for fio in fios:
        with nbdtest.Server(["--read-only", "--format=" + soakactions.FORMATS[fio.export],
                             nbdtest.path(fio.export)]) as other:
            fio.verify(other.uri)


def summary(soak, fios):
    say("%d seconds, seed %d" % (SECONDS, SEED))
    for title, counts in (("done", soak.counts), ("events", soak.events),
                          ("tolerant clients", soakclients.Tolerant.counts),
                          ("runs of fio", {fio.name: fio.runs for fio in fios}),
                          ("refused, with no medium", {f.name: f.refused for f in fios})):
        say(title)
        for what, n in sorted(counts.items()):
            print("%16d %s" % (n, what))


say("SEED=%d SOAK_SECONDS=%d" % (SEED, SECONDS))
make_images()
with Server() as server:
    soak = soakactions.Soak(server, SEED, say)
    soak.chain = [nbdtest.path("chain")]
    soak.sizes = {"chain": 64 * MIB, "raw": 64 * MIB}
    fios = soak_server(server, soak)
check_images(fios)
summary(soak, fios)
