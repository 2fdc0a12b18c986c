# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a soak does to a running server: one function an action, in a table with weights.

An error that a command returns must be one that the action expects; everything else ends the soak.
"""

import os
import random
import re
import socket
import subprocess
import time

import nbdtest
import qmptest
import soakclients
from soakclients import Media

MIB = 1 << 20
# The exports that fio uses, and that must keep what it writes; and one that anything may happen to.
VICTIM = "victim"
FORMATS = {"chain": "qcow2", "raw": "raw", "tcp": "qcow2", VICTIM: "raw"}
EXPORTS = tuple(FORMATS)
BUSY = r"busy|in use|is blocked|being|job"
GONE = r"not found|DeviceNotActive|cannot|not ready|in state"


def qemu_img(*args):
    subprocess.run(["qemu-img", *args], check=True, stdout=subprocess.DEVNULL)


class Soak:
    """A server, its control socket, and what the script knows of its state."""

    def __init__(self, server, seed, say):
        self.server = server
        self.rng = random.Random(seed)
        self.say = say
        self.qmp = server.qmp()
        self.counts = {}
        self.events = {}
        self.serial = 0
        self.chain = []           # files of export chain, the base first
        self.job = None           # the commit that runs: see start_commit()
        self.dynamic = {}         # exports that were added, by id
        self.deleted = set()      # ids of those that are gone
        self.more = None          # the one that reloads add and remove
        self.nodes = {}           # that we have added, by the file that each has opened
        self.useless = []         # files that a commit has emptied
        self.sizes = {}
        self.snapshots = []       # internal ones of export tcp
        self.bitmaps = {}         # of export tcp: whether they outlive an eject

    # ---- commands ----

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def take_events(self):
        for event in self.qmp.events:
            self.events[event["event"]] = self.events.get(event["event"], 0) + 1
            self.on_event(event["event"], event.get("data", {}))
        self.qmp.events.clear()
        if self.job and self.job["status"] == "null":
            self.end_job()

    def cmd(self, command, expect=None, **arguments):
        """What it returns; None: it was refused, as may be."""
        args = {k.replace("_", "-") if k.startswith(("node_", "job_", "snapshot_", "on_"))
                else k: v for k, v in arguments.items()}
        return self.cmd_args(command, args, expect)

    def cmd_args(self, command, args, expect=None):
        self.say("%s %s" % (command, args))
        try:
            result = self.qmp.cmd_args(command, args)
        except qmptest.QmpError as e:
            self.count(command + ": refused")
            self.say("  " + str(e))
            if not expect or not re.search(expect, str(e)):
                raise
            return None
        finally:
            self.take_events()
        self.count(command)
        return result

    def name(self, prefix):
        self.serial += 1
        return "%s-%d" % (prefix, self.serial)

    def export_info(self, export):
        return next(e for e in self.qmp.cmd("x-query-exports") if e["id"] == export)

    def reload(self, more):
        """With that export besides the others."""
        self.server.write_config(more, self.name("text"))
        self.cmd("x-reload")
        if self.more and more != self.more:
            self.wait_until_deleted(self.more)
        self.more = more

    # ---- jobs ----

    def on_event(self, name, data):
        if name == "BLOCK_EXPORT_DELETED":
            self.deleted.add(data["id"])
        assert name != "BLOCK_IO_ERROR" or data["device"] == VICTIM, data
        if not self.job or data.get("device", data.get("id")) != self.job["id"]:
            return
        if name == "JOB_STATUS_CHANGE":
            self.job["status"] = data["status"]
            self.job["ready"] |= data["status"] == "ready"
        elif name == "BLOCK_JOB_COMPLETED":
            assert not data.get("error"), data
            self.job["done"] = True
        elif name == "BLOCK_JOB_ERROR":
            raise AssertionError("the job has failed: %s" % data)

    def end_job(self):
        job, self.job = self.job, None
        if job["done"]:
            self.useless += job["gone"]
            self.chain = [file for file in self.chain if file not in job["gone"]]
        self.count("block-commit: " + ("done" if job["done"] else "cancelled"))
        self.say("job ended: %s" % job)

    def clean(self):
        """Nodes and files that a commit has left."""
        while self.useless:
            file = self.useless.pop()
            self.delete_node(file)
            os.unlink(file)

    def delete_node(self, file):
        if file in self.nodes:
            self.cmd("blockdev-del", node_name=self.nodes.pop(file))

    def tell_job(self, what, **arguments):
        """By its old name or its new one; it may just have come to its end.  False: refused."""
        old = self.rng.random() < 0.5 or arguments
        key = "device" if old and what not in ("finalize", "dismiss") else "id"
        command = ("block-job-" if old else "job-") + what
        return self.cmd(command, expect=GONE, **{key: self.job["id"]}, **arguments) is not None

    def push_job(self):
        """What it waits for, if anything; False: nothing."""
        job = self.job
        if job["status"] == "concluded":
            return not job["auto"] and self.tell_job("dismiss")
        if job["paused"]:
            job["paused"] = not self.tell_job("resume")
        elif job["status"] == "pending" and not job["auto"]:
            # It ends with that, and the chain is another one from then on.
            if self.tell_job("finalize"):
                self.tell_job("dismiss")
        elif job["active"] and job["ready"] and not job["ending"]:
            job["ending"] = self.tell_job("complete")
        else:
            return False
        return True

    def wait_for_job(self):
        """Has it come to its end."""
        end = time.monotonic() + 120
        self.cmd("block-job-set-speed", device=self.job["id"], speed=0, expect=GONE)
        while self.job:
            assert time.monotonic() < end, self.job
            if not self.push_job():
                self.wait_for_event()
        self.check_chain()
        self.clean()

    def wait_for_event(self):
        line = self.qmp.receive()
        assert line is not None and "event" in line, line
        self.qmp.take_event(line)
        self.take_events()

    def wait_until_deleted(self, export):
        while export not in self.deleted:
            self.wait_for_event()
        self.deleted.remove(export)

    def check_chain(self):
        """What the server says of the files of chain is what we think."""
        block = next(b for b in self.qmp.cmd("query-block") if b["device"] == "chain")
        self.take_events()
        image, files = block["inserted"]["image"], []
        while image:
            files.insert(0, image["filename"])
            image = image.get("backing-image")
        assert files == self.chain, (files, self.chain)


# ---- limits, caches, settings ----

def throttle(s):
    export = s.rng.choice(EXPORTS)
    limits = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
    kind = s.rng.choice(["iops", "iops_rd", "iops_wr", "bps", "bps_wr", "none"])
    if kind != "none":
        limits[kind] = s.rng.randrange(80, 400) * (1 if "iops" in kind else 64 << 10)
        if s.rng.random() < 0.3:
            limits[kind + "_max"] = 2 * limits[kind]
            limits[kind + "_max_length"] = s.rng.randrange(1, 5)
    if s.rng.random() < 0.3:
        limits["group"] = "soak"
    s.cmd("block_set_io_throttle", id=export, **limits)


def throttle_clients(s):
    export = s.rng.choice(EXPORTS)
    s.cmd_args("x-set-throttle", {"id": export, "scope": s.rng.choice(["client", "export"]),
                                  "iops-total": s.rng.choice([0, s.rng.randrange(80, 400)])},
               expect="does not go together|must not be below")
    s.cmd("x-query-throttle", id=export)


def write_cache(s):
    s.cmd("x-set-write-cache", id=s.rng.choice(EXPORTS), enable=s.rng.random() < 0.5)


def error_policy(s):
    s.cmd("x-set-error-policy", device=s.rng.choice(EXPORTS), on_read_error="report",
          on_write_error=s.rng.choice(["report", "enospc"]))


def histogram(s):
    bounds = sorted(s.rng.sample(range(1, 10**9), s.rng.randrange(1, 12)))
    s.cmd("block-latency-histogram-set", id=s.rng.choice(EXPORTS), boundaries=bounds)


def log_level(s):
    """The trace of all requests for a moment."""
    s.cmd("x-log-level", level=s.rng.choice(["debug", "error", "warning", "info"]))
    s.cmd("query-version")
    s.cmd("x-log-level", level="notice")


def set_export(s):
    s.cmd_args("x-export-set", {"id": s.rng.choice(EXPORTS), "description": s.name("text"),
                                "hidden": s.rng.random() < 0.5})


# ---- size and media ----

def resize(s):
    if s.rng.random() < 0.5:
        size = s.rng.randrange(1, 32) * MIB + s.rng.choice([0, 512])
        s.cmd_args("block_resize", {"device": VICTIM, "size": size, "x-force": True})
        return
    export = s.rng.choice(["chain", "raw"])
    size = min(s.sizes[export] + s.rng.randrange(1, 5) * MIB, 256 * MIB)
    if s.cmd("block_resize", device=export, size=size,
             expect=BUSY if s.job and export == "chain" else None) is not None:
        s.sizes[export] = size


def tray(s):
    """Open and closed: what steady exports are asked for waits."""
    export = s.rng.choice(EXPORTS)
    Media.moved(export)
    s.cmd("blockdev-open-tray", id=export)
    s.cmd("query-block")
    s.cmd("blockdev-close-tray", id=export)
    Media.moved(export)


def eject(s):
    """Out and in again, as another node."""
    export = s.rng.choice(EXPORTS)
    expect = BUSY if s.job and export == "chain" else None
    Media.moved(export)
    if s.rng.random() < 0.5:
        out = s.cmd("eject", id=export, expect=expect)
    else:
        s.cmd("blockdev-open-tray", id=export)
        out = s.cmd("blockdev-remove-medium", id=export, expect=expect)
    if out is None:
        s.cmd("blockdev-close-tray", id=export)
        Media.moved(export)
        return
    if export == "tcp":
        s.bitmaps = {name: kept for name, kept in s.bitmaps.items() if kept}
    s.clean()
    files = s.chain[::-1] if export == "chain" else [nbdtest.path(export)]
    for file in files:
        s.delete_node(file)
    node = s.nodes[files[0]] = s.name("medium")
    s.cmd("blockdev-add", node_name=node, driver=FORMATS[export],
          file={"driver": "file", "filename": files[0]})
    s.cmd("blockdev-insert-medium", id=export, node_name=node)
    if export == "chain":
        s.check_chain()
    s.cmd("blockdev-close-tray", id=export)
    Media.moved(export)


def change_medium(s):
    own = nbdtest.path(VICTIM)
    s.cmd("blockdev-change-medium", id=VICTIM, filename=nbdtest.path("victim2"), format="raw")
    s.delete_node(own)
    s.cmd("blockdev-change-medium", id=VICTIM, filename=own, format="raw")


def reopen(s):
    """What is in VICTIM, if we have added it: as it is, or read-only, which its clients forbid."""
    node = s.nodes.get(nbdtest.path(VICTIM))
    if node:
        read_only = s.rng.random() < 0.5
        s.cmd_args("blockdev-reopen", {"options": [{
            "node-name": node, "driver": "raw", "read-only": read_only,
            "file": {"driver": "file", "filename": nbdtest.path(VICTIM)}}]},
            expect="read-only" if read_only else None)


# ---- snapshots, commits, bitmaps ----

def add_overlay(s, file):
    """As a node, for blockdev-snapshot."""
    node = s.nodes[file] = s.name("overlay")
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", s.chain[-1], "-F", "qcow2", file,
             str(s.sizes["chain"]))
    s.cmd_args("blockdev-add", {"node-name": node, "driver": "qcow2", "backing": None,
                                "file": {"driver": "file", "filename": file}})
    return node


def snapshot(s):
    if len(s.chain) >= 5:
        return start_commit(s)
    if s.job and s.job["ending"]:
        return s.wait_for_job()         # else the overlay might name what is no more in the chain
    file = nbdtest.path(s.name("overlay"))
    expect = BUSY if s.job else None
    if s.rng.random() < 0.5:
        node = add_overlay(s, file)
        done = s.cmd("blockdev-snapshot", node="chain", overlay=node, expect=expect)
    else:
        done = s.cmd("blockdev-snapshot-sync", device="chain", snapshot_file=file,
                     format="qcow2", snapshot_node_name=s.name("top"), expect=expect)
    if done is None:
        s.delete_node(file)
        if os.path.exists(file):
            os.unlink(file)
        return None
    s.chain.append(file)
    s.check_chain()
    return None


def start_commit(s):
    if s.job or len(s.chain) < 2:
        return
    top = s.rng.randrange(1, len(s.chain))
    base = s.rng.randrange(top)
    active = top == len(s.chain) - 1
    auto = s.rng.random() < 0.7
    s.job = {"id": s.name("commit"), "active": active, "gone": s.chain[base + 1:top + 1],
             "auto": auto, "status": "created", "ready": False, "done": False, "paused": False,
             "ending": False}
    arguments = {"job-id": s.job["id"], "device": "chain", "base": s.chain[base],
                 "speed": s.rng.choice([0, MIB, 4 * MIB]), "auto-finalize": auto,
                 "auto-dismiss": auto}
    if not active:
        arguments["top"] = s.chain[top]
    s.cmd_args("block-commit", arguments)


def cancel_commit(s):
    """A soft end of one that is ready leaves the chain as it is, and is a success."""
    job = s.job
    force = job["paused"] or s.rng.random() < 0.5
    if s.tell_job("cancel", force=force):
        job["ending"] = True
        if job["ready"] and not force:
            job["gone"] = []


def steer_commit(s):
    if not s.job:
        return start_commit(s)
    s.cmd("query-jobs")
    s.cmd("query-block-jobs")
    what = s.rng.choice(["pause", "push", "push", "speed", "cancel", "wait"])
    if not s.job:
        s.check_chain()
    elif what == "pause" and not s.job["paused"]:
        job = s.job
        job["paused"] = s.tell_job("pause")
    elif what == "push":
        s.push_job()
    elif what == "speed":
        s.cmd("block-job-set-speed", device=s.job["id"], speed=s.rng.choice([0, MIB]), expect=GONE)
    elif what == "cancel" and not s.job["ending"]:
        cancel_commit(s)
    elif what == "wait":
        s.wait_for_job()
    return None


def internal_snapshot(s):
    if s.snapshots and s.rng.random() < 0.5:
        name = s.snapshots.pop(s.rng.randrange(len(s.snapshots)))
        s.cmd("blockdev-snapshot-delete-internal-sync", device="tcp", name=name)
    elif len(s.snapshots) < 4:
        s.snapshots.append(s.name("snap"))
        s.cmd("blockdev-snapshot-internal-sync", device="tcp", name=s.snapshots[-1])


def bitmap(s):
    if len(s.bitmaps) < 3:
        name = s.name("bitmap")
        s.bitmaps[name] = s.rng.random() < 0.5
        s.cmd("block-dirty-bitmap-add", node="tcp", name=name, persistent=s.bitmaps[name],
              granularity=s.rng.choice([4096, 65536]))
        return
    what = s.rng.choice(["clear", "enable", "disable", "merge", "remove"])
    name, other = s.rng.sample(sorted(s.bitmaps), 2)
    if what == "merge":
        s.cmd("block-dirty-bitmap-merge", node="tcp", target=name, bitmaps=[other])
        return
    s.cmd("block-dirty-bitmap-" + what, node="tcp", name=name)
    if what == "remove":
        del s.bitmaps[name]


# ---- exports and clients ----

def add_export(s):
    if len(s.dynamic) >= 3:
        return remove_export(s)
    name = s.name("dynamic")
    file = nbdtest.disk(s.rng.randrange(1, 8) * MIB, name)
    node = None
    if s.rng.random() < 0.5:
        s.cmd_args("x-export-add", {"name": name, "image": file, "format": "raw",
                                    "throttle": {"iops-total": 500}})
    else:
        node = s.name("node")
        s.cmd("blockdev-add", driver="raw", node_name=node,
              file={"driver": "file", "filename": file})
        s.cmd("block-export-add", type="nbd", id=name, node_name=node, name=name, writable=True)
    client = None
    if s.rng.random() < 0.6:
        client = soakclients.Tolerant(s.server.uri_of(name), s.rng.randrange(1 << 30))
    s.dynamic[name] = {"file": file, "node": node, "client": client}
    return None


def remove_export(s):
    if not s.dynamic:
        return add_export(s)
    name = s.rng.choice(sorted(s.dynamic))
    mode = s.rng.choice(["safe", "soft", "hard", "hide"])
    export = s.dynamic[name]
    expect = "still in use" if mode == "safe" and export["client"] else None
    if s.cmd("block-export-del", id=name, mode=mode, expect=expect) is None:
        s.cmd("block-export-del", id=name, mode="hard")
    del s.dynamic[name]
    if export["client"]:
        export["client"].stop()
    s.wait_until_deleted(name)
    if export["node"]:
        s.cmd("blockdev-del", node_name=export["node"])
    os.unlink(export["file"])
    return None


def pause(s):
    export = s.rng.choice(EXPORTS)
    s.cmd("x-export-pause", id=export)
    if s.rng.random() < 0.5:
        s.rng.choice([throttle, write_cache, query, resize])(s)
    s.cmd("x-export-resume", id=export)


def drain(s):
    s.cmd("x-export-drain", **s.rng.choice([{}, {"id": s.rng.choice(EXPORTS)}]))


def kick(s):
    clients = s.cmd("x-query-clients", export=VICTIM)
    if clients:
        s.cmd("x-client-kick", id=s.rng.choice(clients)["id"], force=s.rng.random() < 0.5,
              expect="no such client")


def reload(s):
    s.reload(s.rng.choice([None, "more-a", "more-b"]))


def reload_tls(s):
    s.server.write_keys(s.name("user"))
    s.cmd("x-tls-reload")


# ---- looking ----

def query(s):
    s.cmd(s.rng.choice([
        "query-version", "query-commands", "query-qmp-schema", "query-block", "query-blockstats",
        "query-named-block-nodes", "query-block-exports", "x-query-server", "x-query-exports",
        "x-query-clients", "query-jobs", "query-block-jobs"]))


def metrics(s):
    s.server.check_metrics()
    s.count("metrics")


def rude_controller(s):
    """Another client of the control socket, which leaves in the middle of a word."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(s.server.qmp_path)
        sock.sendall(s.rng.choice([
            b"", b"{", b'{"execute": "qmp_capabilities"}\n{"execute": "query-bl',
            b'{"execute": "qmp_capabilities"}{"execute": "x-export-drain"}', b"[" * 1000,
            s.rng.randbytes(500)]))
    s.count("rude controller")


# ---- all as it was ----

def settle(s):
    """Whatever runs ends, and what was added goes: nothing may be left behind of it."""
    for export in EXPORTS:
        s.cmd("x-export-resume", id=export)
        s.cmd("block_set_io_throttle", id=export, bps=0, bps_rd=0, bps_wr=0, iops=0, iops_rd=0,
              iops_wr=0)
        s.cmd_args("x-set-throttle", {"id": export, "scope": "client", "iops-total": 0})
    if s.job:
        s.wait_for_job()
    while s.dynamic:
        remove_export(s)
    while s.bitmaps:
        s.cmd("block-dirty-bitmap-remove", node="tcp", name=s.bitmaps.popitem()[0])
    while s.snapshots:
        s.cmd("blockdev-snapshot-delete-internal-sync", device="tcp", name=s.snapshots.pop())
    while len(s.chain) > 1:
        start_commit(s)
        s.wait_for_job()
    s.reload(None)
    assert s.cmd("query-jobs") == []


# How often each is done, as a weight.
ACTIONS = {
    throttle: 8, throttle_clients: 4, write_cache: 6, error_policy: 2, histogram: 2, log_level: 1,
    set_export: 2, resize: 5, tray: 3, eject: 4, change_medium: 2, reopen: 4, snapshot: 6,
    steer_commit: 12, internal_snapshot: 4, bitmap: 4, add_export: 4, remove_export: 4, pause: 4, drain: 3,
    kick: 3, reload: 2, reload_tls: 2, query: 8, metrics: 8, rude_controller: 2,
}
