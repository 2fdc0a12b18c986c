#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While somebody's command waits for storage that hangs, nbd-ctl shows what there is, ends clients,
the pause and the server: what can be run out of band it has run so, if the server offers that."""
import json
import os
import sys

from ctltest import GREETING, FakeServer, ctl, ctl_json

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../protocol"))
from controlled import Server, Storage, export  # noqa: E402
from qsd import Qsd  # noqa: E402
from rawnbd import K, WRITE, connect, eq  # noqa: E402


def greeting(*capabilities):
    return {"QMP": {**GREETING["QMP"], "capabilities": list(capabilities)}}


def offered():
    """Nothing is asked of a server that it does not offer; what it does is asked for first."""
    with FakeServer(lambda r: {"return": [], "id": r["id"]}) as fake:
        ctl(fake.path, "clients")
        eq([r["execute"] for r in fake.requests], ["x-query-clients"], "requests")
    with FakeServer(lambda r: {"return": [], "id": r["id"]},
                    greeting=greeting("later", "oob")) as fake:
        ctl(fake.path, "clients")
        ctl(fake.path, "drain")
        eq([(r.get("exec-oob"), r.get("execute")) for r in fake.requests],
           [("x-query-clients", None), (None, "x-export-drain")], "requests")
        eq(fake.enabled, [["oob"], ["oob"]], "capabilities")


def refused():
    """Other servers offer it for other commands: those are run all the same."""
    error = {"error": {"class": "GenericError",
                       "desc": "The command x-log-level does not support OOB"}}
    with FakeServer(lambda r: error if "exec-oob" in r else {"return": r["arguments"]},
                    greeting=greeting("oob")) as fake:
        level = {"level": "info"}
        eq(ctl_json(fake.path, "qmp", "x-log-level", json.dumps(level)), level, "level")
        eq([list(r) for r in fake.requests],
           [[how, "arguments", "id"] for how in ("exec-oob", "execute")], "requests")
    with FakeServer(lambda r: error, greeting=greeting("oob")) as fake:
        status, out, err = ctl(fake.path, "qmp", "x-log-level")
        eq((status, "OOB" in err, len(fake.requests)), (1, True, 2), err)
    daemon = Qsd()
    with daemon as qmp:
        qmp.close()                  # it serves one at a time
        eq(ctl_json(daemon.path, "qmp", "query-version")["qemu"]["major"] > 0, True, "version")
        eq(ctl_json(daemon.path, "qmp", "query-block-exports"), [], "exports")
        assert "blockdev-add" in ctl(daemon.path, "--list-names=commands")[1].split(), "commands"


def dies():
    """A server that is gone is not one that is busy."""
    answers = {"x-query-server": {}, "x-query-exports": [{"id": "a", "name": "a"}]}
    with FakeServer(lambda r: {"return": answers[r["execute"]]} if r["execute"] in answers
                    else None) as fake:
        for args in ["status"], ["status", "a"]:
            status, out, err = ctl(fake.path, *args)
            eq((status, out, "closed the connection" in err), (1, "", True), out + err)
        eq(fake.requests[-1]["execute"], "query-block", "request")


def hangs(storage, client, waiting, name):
    """A pause that waits for a write; its id."""
    storage.hang()
    client.request(WRITE, 0, 4 * K, data=bytes(4 * K))
    while not storage.hangs():
        pass
    number = waiting.send("x-export-pause", {"id": name})
    waiting.wait_event("X_EXPORT_STATE", lambda data: data["state"] == "paused")
    return number


def knows_what_the_server_allows(commands):
    with FakeServer(lambda r: {"return": {}, "id": r["id"]}, greeting=greeting("oob")) as fake:
        for command in commands:
            ctl(fake.path, "qmp", command)
        eq({r["exec-oob"] for r in fake.requests if "exec-oob" in r},
           {name for name, info in commands.items() if info.get("allow-oob")}, "out of band")
        eq({r.get("execute", r.get("exec-oob")) for r in fake.requests},
           set(commands) - {"qmp_capabilities"}, "requests")     # which the connection begins with


def looks(path, waiting):
    args = {"x-client-kick": {"id": 99}, "x-export-resume": {"id": "idle"},
            "x-query-throttle": {"id": "far"}}
    for command, info in waiting.schema.commands.items():
        if info.get("allow-oob") and command != "quit":
            status, out, err = ctl(path, "--timeout=20", "qmp", command,
                                   json.dumps(args.get(command, {})))
            eq((status, "no such client" in err), (int("99" in err), "99" in err), command)
    for command in "clients", "jobs", "log-level", "top --delay=0.1 --count=1":
        eq(ctl(path, "--timeout=20", *command.split())[0], 0, command)
    for name in "exports", "clients", "jobs", "commands":
        eq(ctl(path, "--list-names=" + name)[0], 0, name)
    status, out, err = ctl(path, "status")
    eq((status, "paused" in out, "another client" in out), (0, True, True), out + err)
    status, out, err = ctl(path, "status", "far")
    eq((status, "paused" in out, "another client" in out), (0, True, True), out + err)


offered()
refused()
dies()
with Storage("far", "far2") as storage, \
        Server([storage.export("far"), storage.export("far2"), export("idle")]) as server:
    path = server.qmp_path
    with server.qmp() as waiting, connect(server, name="far") as client, \
            connect(server, name="idle") as idle:
        number = hangs(storage, client, waiting, "far")
        looks(path, waiting)
        knows_what_the_server_allows(waiting.schema.commands)
        eq(ctl_json(path, "kick", "--export=idle", "--force"), {"kicked": 1}, "kick")
        idle.expect_close()
        eq(ctl(path, "resume", "far")[0], 0, "resume")
        eq(waiting.reply()["id"], number, "the pause is over")
        storage.go_on()
        eq(client.receive()[1].error, 0, "error")
        assert "devices" in ctl_json(path, "status"), "all is told again"

    with server.qmp() as waiting, connect(server, name="far2") as client:
        hangs(storage, client, waiting, "far2")
        eq(ctl(path, "--timeout=20", "quit")[0], 0, "quit")
        storage.go_on()
        eq(client.receive()[1].error, 0, "error")
    eq(server.wait(), 0, "status")
