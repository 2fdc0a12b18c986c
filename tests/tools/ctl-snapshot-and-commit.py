#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots and commits by nbd-ctl under a connected client: what it wrote stays, whether the job is
waited for, watched on a terminal, interrupted or cancelled, or the server dies of it."""

import atexit
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import nbd

from ctltest import NBD_CTL, ctl, ctl_json
import nbdtest
import qmptest

MIB = 1 << 20
BLK_IMG = os.path.join(os.path.dirname(nbdtest.NBD_EXPORT), "blk-img")
base = nbdtest.path("base.qcow2")
subprocess.run([BLK_IMG, "create", "-q", "-f", "qcow2", base, "8M"], check=True)
server = qmptest.Server(["--export", "name=d0,format=qcow2,image=" + base])
count = 0
atexit.register(server.kill)


def run(*args, status=0, **kwargs):
    got, out, err = ctl(server.qmp_path, *args, **kwargs)
    assert got == status and bool(err) == (status != 0), (args, got, out, err)
    return err if status else out


def snapshot():
    """One more image on top, with all of the disk written to it."""
    global count
    count += 1
    name = "top%d.qcow2" % count
    out = run("snapshot", name, cwd=nbdtest.tmp)
    assert nbdtest.path(name) in out, out
    h.pwrite(bytes([count]) * (8 * MIB), 0)
    return nbdtest.path(name)


def forget_events():
    """Those that were sent before this call."""
    qmp.cmd("query-version")
    qmp.events.clear()


def shows(*files):
    """The export's chain of images is this, and the disk holds what was written last."""
    found = re.findall(r"^  (?:image|on top of) +(\S+) ", run("status", "d0"), re.MULTILINE)
    assert found == list(files), (found, files)
    assert h.pread(8 * MIB, 0) == bytes([count]) * (8 * MIB)


def start(*args, **kwargs):
    """A commit that takes its time, once its job runs."""
    forget_events()
    proc = subprocess.Popen([NBD_CTL, "-s", server.qmp_path, "commit", "d0", "--speed=64k", *args],
                            **kwargs)
    qmp.wait_event("JOB_STATUS_CHANGE", lambda data: data["status"] == "running")
    return proc


with server.qmp() as qmp:
    h = nbd.NBD()
    h.connect_uri(server.uri)

    # To a file, and to one more; back by one image at a time, or to the last.
    middle = snapshot()
    shows(middle, base)
    top = snapshot()
    shows(top, middle, base)
    out = run("commit")
    assert out.splitlines()[-1] == "d0: committed", out
    shows(middle, base)
    top = snapshot()
    run("commit", "--top", middle)
    shows(top, base)
    middle = top
    top = snapshot()
    run("commit", "--base", base)
    shows(base)
    run("snapshot", "d0", top, "--list", status=2)
    run("snapshot", "--list", "--internal=x", status=2)

    # Inside of the image.
    assert "no snapshots" in run("snapshot", "--list")
    run("snapshot", "d0", "--internal", "before")
    assert "before" in run("snapshot", "--list")
    assert ctl_json(server.qmp_path, "snapshot", "--list")[0]["name"] == "before"
    run("snapshot", "--delete=before")
    assert "no snapshots" in run("snapshot", "d0", "--list")

    # An interrupt: the images are as they were.
    top = snapshot()
    proc = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    proc.send_signal(signal.SIGINT)
    out, err = (text.decode() for text in proc.communicate(timeout=60))
    assert proc.returncode == 1 and "the commit was cancelled" in err, (out, err)
    shows(top, base)
    assert run("jobs") == "no jobs\n"

    # On its own: what can be done to a job.
    forget_events()
    run("commit", "--no-wait", "--speed", "64k")
    out = run("jobs")
    assert re.match(r"d0 +commit +running .* 8 MiB ", out.splitlines()[1]), out
    assert json.loads(ctl(server.qmp_path, "--json", "commit", "d9")[2])["error"]["class"] == \
        "DeviceNotFound"
    run("commit", "--speed=fast", status=2)
    run("commit", status=1)
    run("jobs", "pause", "d0")
    qmp.wait_event("JOB_STATUS_CHANGE", lambda data: data["status"] == "paused")
    run("jobs", "resume", "d0")
    run("jobs", "complete", "d0", status=1)
    run("jobs", "speed", "d0", "0")
    qmp.wait_event("BLOCK_JOB_READY")
    run("jobs", "complete", "d0")
    qmp.wait_event("BLOCK_JOB_COMPLETED")
    shows(base)
    run("jobs", "cancel", "d0", status=1)

    # On a terminal: a bar that says how long it will take.  And cancelled by somebody else.
    top = snapshot()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    proc = start(stdout=slave, stderr=slave)
    seen = b""
    while not re.search(rb"\rd0 \[#* *\] +\d+% .* of 8 MiB, .*/s, 0:0\d:\d\d left", seen):
        assert select.select([master], [], [], 60)[0], seen
        seen += os.read(master, 4096)
    assert all(len(line) < 80 for line in seen.decode().replace("\x1b[K", "").split("\r")), seen
    run("jobs", "cancel", "d0")
    assert proc.wait(60) == 1
    os.close(slave)
    os.close(master)
    shows(top, base)

    # For programs: nothing but the result.
    result = json.loads(run("commit", "d0", "--json"))
    assert result["device"] == "d0" and result["offset"] == result["len"], result
    shows(base)

    # The server dies in the middle.
    snapshot()
    proc = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server.kill()
    out, err = (text.decode() for text in proc.communicate(timeout=60))
    assert proc.returncode == 1 and "the server closed the connection" in err, (out, err)
