#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""After a snapshot or commit into an image that is more than its file's name says (a part of a file,
behind a filter), a reload that opens exports anew shows what clients wrote, or is refused."""

import json
import os
import subprocess

import nbd
from rawnbd import nbdtest, qmptest

MIB = 1 << 20
config, whole = nbdtest.path("conf"), nbdtest.disk(2 * MIB, "whole")
part = {"driver": "raw", "offset": MIB, "file": {"driver": "file", "filename": whole}}


def make_disk(name, *args):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *args, nbdtest.path(name), "1M"],
                   check=True)
    return nbdtest.path(name)


def configure(a="", b=""):
    with open(config, "w") as f:
        f.write("[a]\nimage = %s\nformat = qcow2\n%s\n" % (nbdtest.path("top"), a))
        f.write("[b]\nimage-opts = on\nimage = driver=qcow2,file.driver=blkdebug,"
                "file.image.filename=%s\n%s\n" % (nbdtest.path("debugged"), b))


def connect(name):
    h = nbd.NBD()
    h.set_export_name(name)
    h.connect_unix(server.socket_path)
    return h


def inserted(name):
    return {b["device"]: b["inserted"] for b in qmp.cmd("query-block")}[name]


def write(name, data):
    h = connect(name)
    h.pwrite(data, 0)
    h.flush()
    h.shutdown()


def read(name):
    h = connect(name)
    data = h.pread(4, 0)
    h.shutdown()
    return data


def commit(name):
    qmp.cmd("block-commit", device=name, job_id="j")
    qmp.wait_event("BLOCK_JOB_READY")
    qmp.cmd("job-complete", id="j")
    qmp.wait_event("JOB_STATUS_CHANGE", lambda d: d == {"id": "j", "status": "null"})


def refused(name, why, rotational, data):
    """What clients have stays; a setting that needs no opening anew can change all the same."""
    write(name, data)
    before = inserted(name)
    configure(**{name: "rotational = on" if rotational == "off" else "rotational = off"})
    desc = qmp.fails("x-reload")
    assert "'%s': since its last snapshot or commit no name" % name in desc and why in desc, desc
    configure(**{name: "description = x\nrotational = " + rotational})
    qmp.cmd("x-reload")
    assert inserted(name) == before and read(name) == data


def into_a_part_of_a_file():
    """The top has a bitmap, and so keeps what the commit has copied from it."""
    write("a", b"old.")
    commit("a")
    assert inserted("a")["drv"] == "raw" and inserted("a")["image"]["virtual-size"] == MIB
    refused("a", "option 'offset': no file name says so", "auto", b"new.")
    with open(whole, "rb") as f:
        assert f.read(4) == bytes(4), "written to what is no part of the export"
        f.seek(MIB)
        assert f.read(4) == b"new."


def behind_a_filter():
    for now, then in ("auto", "off"), ("off", "on"):
        qmp.cmd("blockdev-snapshot-sync", device="b", snapshot_file=nbdtest.path("over" + now))
        refused("b", "(blkdebug) between itself and its file", now, b"then")
        commit("b")
        # As in the beginning: then the words of the file of settings open it.
        os.unlink(nbdtest.path("over" + now))
        configure(b="rotational = " + then)
        qmp.cmd("x-reload")
        assert read("b") == b"then"
        assert "blkdebug" in [n["drv"] for n in qmp.cmd("query-named-block-nodes")]


def by_options():
    large = nbdtest.disk(2 * MIB, "large")
    with open(make_disk("empty", "-b", nbdtest.path("debugged"), "-F", "qcow2", "-u"), "rb") as f:
        with open(large, "r+b") as to:
            to.seek(MIB)
            to.write(f.read())
    qmp.cmd("blockdev-add", driver="qcow2", node_name="over", backing=None,
            file={"driver": "raw", "offset": MIB, "file": {"driver": "file", "filename": large}})
    qmp.cmd("blockdev-snapshot", node=inserted("b")["node-name"], overlay="over")
    refused("b", "option 'offset': no file name says so", "on", b"then")


make_disk("top", "-b", "json:" + json.dumps(part), "-F", "raw", "-u")
subprocess.run(["qemu-img", "bitmap", "--add", nbdtest.path("top"), "bitmap"], check=True)
make_disk("debugged")
configure()
with qmptest.Server(["--config=" + config]) as server, server.qmp() as qmp:
    into_a_part_of_a_file()
    behind_a_filter()
    by_options()
