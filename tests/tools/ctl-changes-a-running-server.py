#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each subcommand of nbd-ctl does to a running server what it says, seen by the server's own account
and by a client that stays connected."""

import json
import os
import subprocess

import nbd

from ctltest import NBD_CTL, ctl, ctl_json
import nbdtest
import qmptest

MIB = 1 << 20
disk = nbdtest.disk(8 * MIB, "d0")
other = nbdtest.disk(4 * MIB, "other")
server = qmptest.Server(["--export", "name=d0,format=raw,image=" + disk])


def run(*args, status=0):
    """What a subcommand prints; on stderr if it is to fail."""
    got, out, err = ctl(server.qmp_path, *args)
    assert got == status, (args, got, out, err)
    assert bool(err) == (status != 0), (args, out, err)
    return err if status else out


def export(name="d0"):
    return {e["name"]: e for e in qmp.cmd("x-query-exports")}[name]


with server, server.qmp() as qmp:
    h = nbd.NBD()
    h.connect_uri(server.uri)

    # What there is, for people and for programs.
    out = run("status")
    assert "d0" in out and "8 MiB" in out and disk in out and "running" in out, out
    assert ctl_json(server.qmp_path, "status")["exports"] == qmp.cmd("x-query-exports")
    assert "8 MiB (%d bytes)" % (8 * MIB) in run("status", "d0")
    out = run("clients")
    client = qmp.cmd("x-query-clients")[0]["id"]
    assert len(out.splitlines()) == 2 and out.splitlines()[1].split()[:2] == [str(client), "d0"], out
    h.pwrite(b"x" * 4096, 0)

    # The only export need not be named; limits come and go.
    assert "500/s, up to 2000/s for 10 s" in run("throttle", "--iops", "500", "--burst", "2000:10s")
    limits = qmp.cmd("x-query-throttle", id="d0")["limits"]
    assert (limits["iops-total"], limits["iops-total-max"], limits["iops-total-max-length"]) == \
        (500, 2000, 10), limits
    run("throttle", "--iops=600")
    assert "iops-total-max" not in qmp.cmd("x-query-throttle", id="d0")["limits"]
    assert "bytes read: 1 MiB/s, up to 10 MiB/s for 3 s" in \
        run("throttle", "d0", "--iops=0", "--bps-read=1M:10M:3", "--bps-write=1.5G")
    limits = qmp.cmd("x-query-throttle", id="d0")["limits"]
    assert "iops-total-max" not in limits and limits["bps-write"] == 3 << 29, limits
    assert run("throttle", "--client", "--iops=70").endswith("each client: operations: 70/s\n")
    assert "group g1" in run("throttle", "d0", "--group=g1")
    run("throttle", "--client", "--iops=0")
    assert "no limits" in run("throttle", "--bps-read=0", "--bps-write=0")

    # The write cache, error policies, the log, requests that wait.
    assert "on" in run("cache")
    run("cache", "off")
    assert "off" in run("cache", "d0") and ctl_json(server.qmp_path, "cache")["writeback"] is False
    run("cache", "d0", "on")
    assert "reading: stop, of writing: report" in run("on-error", "--read=stop")
    assert export()["settings"]["on-read-error"] == "stop"
    assert run("log-level", "info") == run("log-level") == "info\n"
    run("pause")
    assert export()["state"] == "paused"
    run("resume", "d0")
    assert export()["state"] == "running"
    run("drain")

    # Sizes: never smaller by accident.
    run("resize", "+1M")
    assert export()["size"] == 9 * MIB
    assert "--shrink" in run("resize", "d0", "8M", status=1) and export()["size"] == 9 * MIB
    run("resize", "d0", "8M", "--shrink")
    assert export()["size"] == os.path.getsize(disk) == 8 * MIB

    # A file that was forgotten is not called as the export is.
    for command in ("snapshot", "insert", "resize"):
        assert '"d0" is the export' in run(command, "d0", status=1), command

    # Media.
    run("eject")
    try:
        h.pread(512, 0)
        raise AssertionError("there was no medium")
    except nbd.Error:
        pass
    status, out, err = ctl(server.qmp_path, "insert", "other", "--format=raw", cwd=nbdtest.tmp)
    assert status == 0 and other in out, (out, err)
    assert h.pread(4, 0) == b"\0\0\0\0" and export()["size"] == 4 * MIB
    run("insert", "d0", disk, "--format", "raw")
    assert h.pread(4, 0) == b"xxxx"

    # Exports come and go.
    status, out, err = ctl(server.qmp_path, "export", "add", "name=d1", "image=other", "format=raw",
                           "allow=uid:0", "allow=uid:1", "read-only=on", cwd=nbdtest.tmp)
    assert status == 0, err
    assert export("d1")["read-only"] and export("d1")["settings"]["allow"] == ["uid:0", "uid:1"]
    assert '"d0", "d1"' in run("pause", status=1)
    run("export", "set", "d1", "description=two words", "hidden=on")
    assert export("d1")["description"] == "two words" and export("d1")["hidden"]
    assert 'Did you mean "name"' in run("export", "set", "d1", "naem=x", status=1)
    run("export", "del", "d1")
    assert "--hard" in run("export", "del", "d0", status=1)
    assert [e["name"] for e in qmp.cmd("x-query-exports")] == ["d0"]

    # Rates of what happens, in a table and as JSON.
    with subprocess.Popen([NBD_CTL, "-s", server.qmp_path, "top", "--json", "-n4", "-d0.2"],
                          stdout=subprocess.PIPE) as top:
        while top.poll() is None:
            h.pread(65536, 0)
        tables = [json.loads(line) for line in top.stdout]
    assert len(tables) == 4, tables
    # A busy machine may let nobody read for a while, and one read may be counted by halves.
    table = next(t for t in tables[1:]
                 if t["exports"][0]["read-iops"] > 20 and t["clients"][0]["iops"] > 0)
    rates, rates_of_client = table["exports"][0], table["clients"][0]
    assert rates["export"] == rates_of_client["export"] == "d0", tables
    assert rates["write-iops"] == 0, rates
    assert 0.5 < rates["read-bps"] / rates["read-iops"] / 65536 < 1.5, rates
    assert 0 < rates["latency-p50-ns"] <= rates["latency-p99-ns"], rates
    assert rates_of_client["read-bps"] > 0, rates_of_client
    out = run("top", "-n", "1", "-d", "0.1")
    assert "R/S" in out and "d0" in out and "PEER" in out and "\033" not in out, out

    # Events: the first of those that are named, which takes one while it listens.
    with subprocess.Popen([NBD_CTL, "-s", server.qmp_path, "events", "--json",
                           "x_client_disconnected"], stdout=subprocess.PIPE) as events:
        while events.poll() is None:
            passing = nbd.NBD()
            passing.connect_uri(server.uri)
            passing.shutdown()
        event = json.loads(events.stdout.read())
    assert event["event"] == "X_CLIENT_DISCONNECTED" and event["data"]["export"] == "d0", event

    with subprocess.Popen([NBD_CTL, "-s", server.qmp_path, "events", "x_export_state"],
                          stdout=subprocess.PIPE) as events:
        while events.poll() is None:
            qmp.cmd("x-export-pause", id="d0")
            qmp.cmd("x-export-resume", id="d0")
        out = events.stdout.read().decode()
    assert any(" X_EXPORT_STATE id=d0 state=%s\n" % s in out
               for s in ("paused reason=paused", "running reason=resumed")), out

    # Clients are sent away.
    nbdtest.until(lambda: [c["id"] for c in qmp.cmd("x-query-clients")] == [client],
                  "those who were passing to go")
    assert "1 kicked" in run("kick", str(client))
    qmp.wait_event("X_CLIENT_DISCONNECTED", lambda data: data["id"] == client)
    assert "0 kicked" in run("kick", "--export", "d0")
    assert "no client" in run("clients")

    # The protocol as it is, and the end.
    assert json.loads(run("qmp", "x-export-drain", '{"id": "d0"}')) == {}
    assert "parameter" in run("qmp", "x-export-drain", '{"idd": "d0"}', status=1).lower()
    run("qmp", "x-export-drain", "[]", status=2)
    assert "has ended" in run("quit")
    assert server.wait() == 0
