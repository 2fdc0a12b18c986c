#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--metrics: what clients did is counted, by export and command, and stays counted when they leave,
however they leave; names of any characters are told."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import nbd  # noqa: E402
import metricstest  # noqa: E402
import nbdtest  # noqa: E402
import qmptest  # noqa: E402

NAME = 'a "quoted\\one"\nbehind it é'
CLIENT = """
import nbd, sys
h = nbd.NBD()
h.set_export_name("b")
h.connect_unix(sys.argv[1])
h.pwrite(bytes(4096), 0)
print("ready", flush=True)
sys.stdin.read()
"""


def connect(server, name):
    h = nbd.NBD()
    h.set_export_name(name)
    h.add_meta_context("base:allocation")
    h.connect_unix(server.socket_path)
    return h


def use(h):
    """3 reads, 2 writes, and so on; 5 errors."""
    for _ in range(3):
        h.pread(1000, 0)
    h.pwrite(bytes(4096), 0)
    h.pwrite(bytes(4096), 4096, nbd.CMD_FLAG_FUA)
    h.flush()
    h.trim(65536, 0)
    h.zero(65536, 65536)
    h.cache(4096, 0)
    h.block_status(4096, 0, lambda *_: 0)
    h.set_strict_mode(0)
    for call in (lambda: h.pread(512, 1 << 30), lambda: h.pwrite(bytes(512), 1 << 30),
                 lambda: h.trim(512, 1 << 30), lambda: h.zero(512, 1 << 30),
                 lambda: h.cache(512, 1 << 30)):
        try:
            call()
            raise AssertionError("past the end")
        except nbd.Error:
            pass


OPERATIONS = {"read": 3, "write": 2, "flush": 1, "trim": 1, "write_zeroes": 1, "cache": 1,
              "block_status": 1}
ERRORS = {"read": 1, "write": 1, "flush": 0, "trim": 1, "write_zeroes": 1, "cache": 1,
          "block_status": 0, "unknown": 0}
BYTES = {"read": 3000, "write": 8192, "trim": 65536, "write_zeroes": 65536, "cache": 4096}


def check(page, name, times):
    for metric, numbers in (("operations", OPERATIONS), ("errors", ERRORS), ("bytes", BYTES)):
        for command, n in numbers.items():
            got = page.value("nbd_export_%s_total" % metric, export=name, command=command)
            assert got == n * times, (metric, command, got, n * times)
    for command, n in OPERATIONS.items():
        got = page.value("nbd_export_latency_seconds_count", export=name, command=command)
        assert got == n * times, ("latency", command, got)
        assert page.value("nbd_export_latency_seconds_sum", export=name, command=command) > 0 \
            or times == 0


def never_less(old, new):
    for family in old.families:
        if family.type in ("counter", "histogram"):
            for sample in family.samples:
                now = new.value(sample.name, **sample.labels)
                assert now >= sample.value, (sample, now)


def kill_a_client(server, metrics):
    """One that has done something and is killed is counted after, as before."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, server.socket_path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"ready\n"
    before = metrics.page()
    assert before.value("nbd_export_clients", export="b") == 1
    assert before.value("nbd_export_operations_total", export="b", command="write") == 1
    client.send_signal(signal.SIGKILL)
    client.wait()
    nbdtest.until(lambda: not metrics.value("nbd_export_clients", export="b"), "the client to go")
    after = metrics.page()
    never_less(before, after)
    assert after.value("nbd_export_operations_total", export="b", command="write") == 1


def wait_for_limits(server, metrics):
    """A read each 50 ms, after the first few; on a busy machine not all of them have to wait."""
    def read():
        for _ in range(6):
            h.pread(512, 0)
        page = metrics.page()
        waited = page.value("nbd_export_throttle_wait_seconds_total", export="slow")
        return page if waited > 0.08 else None

    h = connect(server, "slow")
    page = nbdtest.until(read, "reads to wait")
    reads = page.value("nbd_export_operations_total", export="slow", command="read")
    waits = page.value("nbd_export_throttle_waits_total", export="slow")
    seconds = page.value("nbd_export_throttle_wait_seconds_total", export="slow")
    assert 1 <= waits <= reads, (waits, reads)
    assert seconds <= page.value("nbd_export_latency_seconds_sum", export="slow",
                                 command="read"), seconds
    for reason in ("request", "no_medium", "io_error"):
        assert page.value("nbd_export_paused", export="slow", reason=reason) == 0


def name_taken_again(server, metrics):
    """Counters mean the export that took a name last, also when it is gone before the first."""
    def reads():
        try:
            return metrics.value("nbd_export_operations_total", export="twice", command="read")
        except KeyError:
            return None

    with server.qmp() as qmp:
        clients = []
        for number in 1, 2:
            qmp.cmd("x-export-add", name="twice", image=nbdtest.disk(4096, "twice"), format="raw",
                    **{"read-only": True})
            assert reads() == 0, reads()
            clients.append(connect(server, "twice"))
            clients[-1].pread(512, 0)
            assert reads() == 1, reads()
            qmp.cmd("block-export-del", id="twice", mode="hide")
        clients[1].shutdown()
        nbdtest.until(lambda: len([e for e in qmp.cmd("x-query-exports")
                                   if e["id"] == "twice"]) == 1, "the second one to end")
        assert reads() is None, reads()
        clients[0].shutdown()


with qmptest.Server(["--metrics=0", "-v",
                     "--export=name=%s,image=%s,format=raw" % (NAME, nbdtest.disk(1 << 20, "a")),
                     "--export=name=b,image=%s,format=raw,hidden=on,shared=1"
                     % nbdtest.disk(1 << 20, "b"),
                     "--export=name=c,image=%s,format=raw,read-only=on"
                     % nbdtest.disk(1 << 20, "c"),
                     "--export=name=slow,image=%s,format=raw,throttle.iops-total=20"
                     % nbdtest.disk(1 << 20, "slow")]) as server:
    metrics = metricstest.Metrics(server)
    first = metrics.page()
    check(first, NAME, 0)

    h = connect(server, NAME)
    use(h)
    h2 = connect(server, NAME)
    use(h2)
    page = metrics.page()
    never_less(first, page)
    check(page, NAME, 2)
    check(page, "b", 0)
    assert page.value("nbd_export_clients", export=NAME) == 2
    assert page.value("nbd_export_server_clients") == 2
    assert page.value("nbd_export_in_flight", export=NAME) == 0
    assert page.value("nbd_export_handshakes_total", export=NAME, result="ok") == 2
    assert page.value("nbd_export_size_bytes", export=NAME) == 1 << 20
    assert page.value("nbd_export_read_only", export=NAME) == 0
    assert page.value("nbd_export_read_only", export="c") == 1
    h2.shutdown()
    nbdtest.until(lambda: metrics.value("nbd_export_clients", export=NAME) == 1,
                  "the client to go")
    page = metrics.page()
    check(page, NAME, 2)

    kill_a_client(server, metrics)

    # One place only; and a client that has a look and leaves.
    last = connect(server, "b")
    try:
        connect(server, "b")
        raise AssertionError("shared=1")
    except nbd.Error:
        pass
    h3 = nbd.NBD()
    h3.set_opt_mode(True)
    h3.connect_unix(server.socket_path)
    h3.opt_abort()
    nbdtest.until(lambda: metrics.value("nbd_export_server_clients") == 2, "two clients to go")
    page = metrics.page()
    assert page.value("nbd_export_handshakes_total", export="b", result="refused") == 1
    assert page.value("nbd_export_server_handshakes_total", result="ok") == 4
    assert page.value("nbd_export_server_handshakes_total", result="left") == 2
    assert page.value("nbd_export_server_handshakes_total", result="failed") == 0
    assert page.value("nbd_export_server_memory_limit_bytes") == 512 << 20
    assert page.value("process_open_fds") > 5
    assert page.value("process_resident_memory_bytes") > 1 << 20
    wait_for_limits(server, metrics)
    name_taken_again(server, metrics)
