#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd-ctl copes with servers that are slow, gone, cut off or none at all, and says which it was; and
what names hold never reaches the terminal as it is."""

import json
import os
import socket

from ctltest import FakeServer, ctl, ctl_json
import nbdtest


def event(name, **data):
    return {"timestamp": {"seconds": 1, "microseconds": 0}, "event": name, "data": data}


# Split at every byte, with events and strangers' replies before what was asked for, strings with all
# that could be taken for the end of a message.
nasty = {"a": '"}]\\', "b": [{"c": "\\\""}, "{[", "ü€😀"], "d": {}}
with FakeServer(lambda r: [event("E", n=1), {"return": 0, "id": 999}, event("F"),
                           {"return": nasty, "id": r["id"]}], piece=1) as fake:
    assert ctl_json(fake.path, "qmp", "any", '{"x": ["y"]}') == nasty
    assert fake.requests[0]["arguments"] == {"x": ["y"]}, fake.requests

# Errors: the text as it came, the status, and JSON if that was asked for.
refusal = {"error": {"class": "DeviceNotFound", "desc": "Device 'd9' not found. There are: \"d0\"."}}
with FakeServer(lambda r: refusal) as fake:
    status, out, err = ctl(fake.path, "pause", "d9")
    assert (status, out) == (1, "") and refusal["error"]["desc"] in err, err
    status, out, err = ctl(fake.path, "pause", "d9", "--json")
    assert (status, out) == (1, "") and json.loads(err) == refusal, err

# Gone in the middle: before an answer, and in one.
for last_words in (None, [b'{"return": {"half']):
    def leave(request, words=last_words):
        return words
    with FakeServer(leave) as fake:
        if last_words:
            fake.serve = lambda conn, f=fake: (f.send(conn, f.greeting), conn.recv(999),
                                               f.send(conn, {"return": {}, "id": 1}),
                                               conn.recv(999), f.send(conn, last_words))
        status, out, err = ctl(fake.path, "reload")
        assert status == 1 and "closed the connection" in err and "not known" in err, err

# Silent, before the greeting and after it; --timeout ends that.
with FakeServer(lambda r: [], greeting=[]) as fake:
    status, out, err = ctl(fake.path, "--timeout=1", "reload")
    assert status == 1 and fake.path in err and "does not answer" in err, err
with FakeServer(lambda r: []) as fake:
    status, out, err = ctl(fake.path, "--timeout=2", "reload")
    assert status == 1 and "did not answer in 2 s" in err, err

# Something else listens there: NBD, and JSON that is none of ours.
for greeting in (b"NBDMAGICIHAVEOPT\0\3", b"[1]\n", {"hello": 1}, b"{nonsense}"):
    with FakeServer(lambda r: None, greeting=greeting) as fake:
        status, out, err = ctl(fake.path, "reload")
        assert status == 1 and "does not speak QMP" in err, (greeting, err)

# Not let in: why not is what the server says.
with FakeServer(lambda r: None, greeting={"error": {"class": "GenericError",
                                                    "desc": "uid 7 is not let in"}}) as fake:
    status, out, err = ctl(fake.path, "reload")
    assert status == 1 and fake.path + ": uid 7 is not let in" in err, err

# Nobody there: what was tried, and what to do.
empty = {"XDG_RUNTIME_DIR": nbdtest.tmp, "NBD_EXPORT_QMP": ""}
status, out, err = ctl(None, "status", env=empty)
assert status == 1, status
for text in ("/run/nbd-export/qmp.sock", nbdtest.tmp + "/nbd-export/qmp.sock: No such file",
             "nbd-export --qmp", "--socket", "NBD_EXPORT_QMP"):
    assert text in err, (text, err)
stale = nbdtest.path("stale.sock")
socket.socket(socket.AF_UNIX).bind(stale)
status, out, err = ctl(None, "status", env={"NBD_EXPORT_QMP": stale})
assert status == 1 and stale + ": Connection refused" in err and "/run/" not in err, err
status, out, err = ctl("x" * 200, "status")
assert status == 1 and "at most 107 bytes" in err, err

# The places are found.
with FakeServer(lambda r: {"return": {}}) as fake:
    assert ctl(None, "reload", env={"NBD_EXPORT_QMP": fake.path})[0] == 0
    os.mkdir(nbdtest.path("nbd-export"))
    os.symlink(fake.path, nbdtest.path("nbd-export/qmp.sock"))
    if not os.path.exists("/run/nbd-export/qmp.sock"):
        assert ctl(None, "reload", env=empty)[0] == 0

# What a name or a message could do to a terminal, it does not.
evil = "a\x1b[2J\x07\n\x7f\u009b1m\u202eb"
job = {"id": evil, "type": "commit", "status": "running", "current-progress": 1,
       "total-progress": 2}


def answer(request):
    if request["execute"] == "query-jobs":
        return {"return": [job]}
    return {"error": {"class": "GenericError", "desc": evil}}


with FakeServer(answer) as fake:
    for command in (("jobs",), ("eject", "d0"), ("jobs", "--json"), ("--list-names", "jobs"),
                    ("eject", "d0", "--json")):
        status, out, err = ctl(fake.path, *command)
        text = (out + err).replace("\n", "")
        if "--json" in command:
            value = json.loads(text)
            assert evil == (value[0]["id"] if out else value["error"]["desc"]), text
        assert not any(ord(c) < 32 or 0x80 <= ord(c) < 0xa0 or c == "\u202e" for c in text), text
        assert "\\x1b[2J" in text or "\\u001B[2J" in text, text

# Results of other kinds than were asked for are no reason to fall over.
for result in (None, [1], [{"id": 1, "name": 2, "device": {}}],
               {"server": [], "limits": 1, "added": [{}], "changed": [1]},
               [{"id": "d0", "name": "d0", "settings": 3, "flags": [{}], "size": -1,
                 "device": "d0", "inserted": {"image": {"snapshots": 3, "backing-image": []}},
                 "stats": {"rd_latency_histogram": {"boundaries": 1, "bins": [1, 2, 3]}}}]):
    with FakeServer(lambda r, result=result: {"return": result}) as fake:
        for command in (("status",), ("status", "d0"), ("top", "-n1", "-d0.1"), ("clients",),
                        ("jobs",), ("throttle", "d0"), ("cache", "d0"), ("on-error", "d0"),
                        ("snapshot", "d0", "--list"), ("reload",), ("log-level",), ("kick", "1"),
                        ("resize", "d0", "+1"), ("pause",), ("--list-names", "exports")):
            status, out, err = ctl(fake.path, *command)
            assert status in (0, 1, 2) and bool(err) == bool(status), (result, command, status,
                                                                       out, err)
