#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots and commits of an export whose client writes all the time: each read shows what was
written, each image is sound, and the image by the name of its top shows the same as the client."""

import json
import os
import random
import subprocess
import threading

import nbd
from rawnbd import nbdtest, qmptest

SIZE = 32 << 20
random.seed(1)


class Writer(threading.Thread):
    """A client: what it has written, and that reads show it."""

    def __init__(self, server, first, seed):
        super().__init__()
        self.h = nbd.NBD()
        self.h.connect_uri(server.uri)
        self.random = random.Random(seed)
        self.model = bytearray(SIZE // 2)
        self.first = first
        self.over = False
        self.failure = None
        self.steps = 0
        self.start()

    def step(self):
        at = self.random.randrange(SIZE // 2 - 9000)
        n = self.random.randrange(1, 9000)
        if self.random.random() < .6:
            data = self.random.randbytes(1) * n
            self.h.pwrite(data, self.first + at)
            self.model[at:at + n] = data
        elif self.random.random() < .2:
            self.h.zero(n, self.first + at)
            self.model[at:at + n] = bytes(n)
        elif self.h.pread(n, self.first + at) != self.model[at:at + n]:
            raise AssertionError("wrong data at %d" % (self.first + at))

    def run(self):
        try:
            while not self.over:
                self.step()
                self.steps += 1
        except Exception as e:  # told by stop(), in the main thread
            self.failure = e

    def go_on(self, n):
        """Returns when it has done so many more."""
        end = self.steps + n
        nbdtest.until(lambda: self.failure or self.steps >= end, "a writer to go on")

    def stop(self):
        self.over = True
        self.join()
        if self.failure:
            raise self.failure
        self.h.flush()
        assert self.h.pread(SIZE // 2, self.first) == self.model
        self.h.shutdown()


def img(*args):
    return subprocess.run(["qemu-img", *args], check=True, capture_output=True).stdout


def make_disk(name):
    img("create", "-q", "-f", "qcow2", nbdtest.path(name), str(SIZE))
    return nbdtest.path(name)


def chain(qmp):
    """The files of the export's chain, from the top on."""
    image = qmp.cmd("query-block")[0]["inserted"]["image"]
    files = []
    while image:
        files.append(os.path.basename(image["filename"]))
        image = image.get("backing-image")
    return files


def status_events(qmp, job):
    """Takes them; up to "null"."""
    states = []
    while not states or states[-1] != "null":
        states.append(qmp.wait_event("JOB_STATUS_CHANGE", lambda d: d["id"] == job)["status"])
    return states


def check_images(*names):
    for name in names:
        img("check", "-U", "-q", "-f", "qcow2", nbdtest.path(name))


def same_content(top, writers):
    """What the image by this name shows, opened as a stranger does."""
    raw = nbdtest.path("raw")
    img("convert", "-U", "-O", "raw", "-f", "qcow2", nbdtest.path(top), raw)
    with open(raw, "rb") as f:
        for w in writers:
            f.seek(w.first)
            assert f.read(SIZE // 2) == w.model, "%s shows other data" % top


def snapshots_and_commits(server, qmp):
    writers = [Writer(server, 0, 1), Writer(server, SIZE // 2, 2)]
    exports = qmp.cmd("query-block-exports")
    for i in range(1, 4):
        qmp.cmd("blockdev-snapshot-sync", device="d0", snapshot_file=nbdtest.path("o%d" % i),
                snapshot_node_name="node%d" % i)
        # Each gets so much that a limited commit of it takes seconds.
        for w in writers:
            w.go_on(40)
    assert chain(qmp) == ["o3", "o2", "o1", "base"]
    assert qmp.cmd("query-block-exports")[0]["node-name"] == "node3" != exports[0]["node-name"]
    info = json.loads(img("info", "-U", "--output=json", nbdtest.path("o1")))
    assert info["backing-filename"] == nbdtest.path("base")
    assert info["backing-filename-format"] == "qcow2"

    # In the middle, with a limit, a pause, and another speed.
    qmp.cmd("block-commit", device="d0", top_node="node2", base=nbdtest.path("base"),
            speed=1 << 16, job_id="middle")
    assert "is busy: block device is in use by block job: commit" in \
        qmp.fails("block-commit", device="d0")
    assert "in use by block job" in qmp.fails("blockdev-snapshot-sync", device="d0",
                                              snapshot_file=nbdtest.path("o9"))
    assert not os.path.exists(nbdtest.path("o9"))
    assert "in use by block job" in qmp.fails("eject", device="d0")
    assert "in use by block job" in qmp.fails("block_resize", device="d0", size=SIZE * 2)
    qmp.wait_event("X_JOB_PROGRESS", lambda d: d["id"] == "middle" and d["current-progress"] > 0)
    qmp.cmd("job-pause", id="middle")
    assert qmp.fails("job-pause", id="middle") == "Job is already paused"
    job = qmp.cmd("query-block-jobs")[0]
    assert job["device"] == "middle" and job["paused"] and job["speed"] == 1 << 16, job
    assert job["type"] == "commit" and not job["ready"] and job["io-status"] == "ok", job
    assert "cannot accept command verb 'complete'" in qmp.fails("job-complete", id="middle")
    assert "paused" in qmp.fails("block-job-cancel", device="middle")
    qmp.cmd("block-job-set-speed", device="middle", speed=0)
    qmp.cmd("block-job-resume", device="middle")
    end = qmp.wait_event("BLOCK_JOB_COMPLETED")
    assert end["len"] == end["offset"] and "error" not in end, end
    states = status_events(qmp, "middle")
    assert [s for s in states if s != "paused"][:2] == ["created", "running"], states
    assert states[-4:] == ["waiting", "pending", "concluded", "null"], states
    assert qmp.cmd("query-jobs") == []
    assert chain(qmp) == ["o3", "base"]

    # Cancelled, and then to the end.
    qmp.cmd("block-commit", device="d0", speed=1 << 16)
    qmp.cmd("job-cancel", id="d0")
    qmp.wait_event("BLOCK_JOB_CANCELLED")
    assert status_events(qmp, "d0") == ["created", "running", "aborting", "concluded", "null"]
    assert chain(qmp) == ["o3", "base"]
    qmp.cmd("block-commit", device="d0")
    qmp.wait_event("BLOCK_JOB_READY")
    assert qmp.cmd("query-jobs")[0]["status"] == "ready"
    qmp.cmd("job-complete", id="d0")
    qmp.wait_event("BLOCK_JOB_COMPLETED")
    assert status_events(qmp, "d0")[-5:] == ["ready", "waiting", "pending", "concluded", "null"]
    assert chain(qmp) == ["base"]
    for w in writers:
        w.stop()
    return writers


def steps_by_hand(qmp):
    """auto-finalize and auto-dismiss off; a ready job that is cancelled has success."""
    qmp.cmd("blockdev-snapshot-sync", device="d0", snapshot_file=nbdtest.path("o4"))
    qmp.cmd("block-commit", device="d0", auto_finalize=False, auto_dismiss=False, job_id="j")
    qmp.wait_event("BLOCK_JOB_READY")
    qmp.cmd("block-job-cancel", device="j")
    assert qmp.wait_event("BLOCK_JOB_PENDING") == {"type": "commit", "id": "j"}
    assert "cannot accept command verb 'pause'" in qmp.fails("job-pause", id="j")
    assert "Job 'no' not found" in qmp.fails("job-finalize", id="no")
    qmp.fails("block-job-finalize", "DeviceNotActive", id="no")
    qmp.cmd("job-finalize", id="j")
    qmp.wait_event("BLOCK_JOB_COMPLETED", lambda d: d["device"] == "j" and "error" not in d)
    assert qmp.cmd("query-jobs")[0]["status"] == "concluded"
    assert "verb 'finalize'" in qmp.fails("job-finalize", id="j")
    qmp.cmd("job-dismiss", id="j")
    assert chain(qmp) == ["o4", "base"]


def overlays_that_are_there(qmp):
    img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", nbdtest.path("o4"),
        nbdtest.path("o5"))
    qmp.cmd("blockdev-add", driver="qcow2", node_name="o5", backing=None,
            file={"driver": "file", "filename": nbdtest.path("o5")})
    root = qmp.cmd("query-block-exports")[0]["node-name"]
    assert "is not at the top" in qmp.fails("blockdev-snapshot", node="o5", overlay="o5")
    qmp.cmd("blockdev-snapshot", node=root, overlay="o5")
    assert chain(qmp) == ["o5", "o4", "base"]
    assert "already in use" in qmp.fails("blockdev-snapshot", node="o5", overlay="o5")
    img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", nbdtest.path("o5"), "-u",
        nbdtest.path("o6"), str(SIZE * 2))
    assert "its clients see" in qmp.fails("blockdev-snapshot-sync", node_name="o5",
                                          snapshot_file=nbdtest.path("o6"), mode="existing")
    assert os.path.exists(nbdtest.path("o6")) and chain(qmp) == ["o5", "o4", "base"]
    for bad in nbdtest.path("no/such/folder"), nbdtest.path("base"), nbdtest.path("o5"):
        qmp.fails("blockdev-snapshot-sync", device="d0", snapshot_file=bad)
    assert chain(qmp) == ["o5", "o4", "base"]


def internal_snapshots(qmp):
    qmp.cmd("blockdev-snapshot-internal-sync", device="d0", name="then")
    assert "already exists" in qmp.fails("blockdev-snapshot-internal-sync", device="d0",
                                         name="then")
    qmp.fails("blockdev-snapshot-internal-sync", device="d0", name="")
    assert "does not exist" in qmp.fails("blockdev-snapshot-delete-internal-sync", device="d0",
                                         name="never")
    qmp.fails("blockdev-snapshot-delete-internal-sync", device="d0")
    gone = qmp.cmd("blockdev-snapshot-delete-internal-sync", device="d0", name="then")
    assert gone["name"] == "then" and gone["id"] == "1", gone


def views_are_refused(qmp):
    for device, why in ("part", "shows a part"), ("temporary", "is temporary"):
        for command, args in (("blockdev-snapshot-sync", {"snapshot-file": nbdtest.path("o7")}),
                              ("blockdev-snapshot-internal-sync", {"name": "now"}),
                              ("block-commit", {})):
            assert why in qmp.fails(command, device=device, **args), (device, command)
    assert not os.path.exists(nbdtest.path("o7"))


def names_that_say_less_are_refused(qmp):
    """A window, as image and as node, and a second export, which goes through another node."""
    third = nbdtest.disk(1 << 20, "third")
    for name, file, more in (("w", third, {"driver": "raw", "offset": 512}),
                             ("q", make_disk("twice"), {"driver": "qcow2"})):
        qmp.cmd("blockdev-add", node_name=name, file={"driver": "file", "filename": file}, **more)
    for export, node in ("w1", "w"), ("q1", "q"), ("q2", "q"):
        qmp.cmd("block-export-add", type="nbd", id=export, name=export, node_name=node,
                writable=True)
    for device, why in (("window", "the option 'offset': no file name says so. Make an overlay"),
                        ("w1", "the option 'offset': no file name says so. Make an overlay"),
                        ("q2", "no file name says so. Use node 'q' instead")):
        before = qmp.cmd("query-named-block-nodes")
        assert why in qmp.fails("blockdev-snapshot-sync", device=device,
                                snapshot_file=nbdtest.path("o9")), device
        assert not os.path.exists(nbdtest.path("o9"))
        assert qmp.cmd("query-named-block-nodes") == before


def a_job_ends_with_its_export(qmp):
    qmp.cmd("blockdev-snapshot-sync", device="gone", snapshot_file=nbdtest.path("o8"))
    qmp.cmd("block-commit", device="gone", speed=1, job_id="j")
    qmp.cmd("block-export-del", id="gone")
    qmp.wait_event("BLOCK_JOB_CANCELLED", lambda d: d["device"] == "j")
    qmp.wait_event("BLOCK_EXPORT_DELETED", lambda d: d["id"] == "gone")
    assert qmp.cmd("query-jobs") == []


make_disk("base")
config = nbdtest.path("conf")
with open(config, "w") as f:
    f.write("[d0]\nimage = %s\nformat = qcow2\n" % nbdtest.path("base"))
with qmptest.Server(["--config=" + config]) as server, server.qmp() as qmp:
    writers = snapshots_and_commits(server, qmp)
    check_images("base", "o3")
    # The emptied overlay shows what base has.
    same_content("o3", writers)
    steps_by_hand(qmp)
    # A reload stays with the chain, whether it opens the image anew or not.
    for more in "", "description = other\n", "rotational = on\ndiscard = ignore\n":
        with open(config, "a") as f:
            f.write(more)
        qmp.cmd("x-reload")
        assert chain(qmp) == ["o4", "base"], (more, chain(qmp))
    overlays_that_are_there(qmp)
    internal_snapshots(qmp)
    qmp.cmd("block-commit", device="d0", base=nbdtest.path("base"), speed=1)
same_content("o5", writers)
check_images("base", "o4", "o5")

raw, other = nbdtest.disk(1 << 20), nbdtest.disk(1 << 20, "other")
with qmptest.Server(["--export=name=part,format=raw,offset=512,read-only,image=" + raw,
                     "--export=name=temporary,format=raw,snapshot,image=" + raw,
                     "--export=name=window,image-opts,image=driver=raw,,offset=512,,"
                     "file.filename=" + other,
                     "--export=name=gone,format=qcow2,image=" + make_disk("gone")]) as server, \
        server.qmp() as qmp:
    views_are_refused(qmp)
    names_that_say_less_are_refused(qmp)
    a_job_ends_with_its_export(qmp)
