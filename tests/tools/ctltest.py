# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of nbd-ctl: the program run, and servers in Python that behave as no real one would.

    status, out, err = ctltest.ctl(path, "status")
    with ctltest.FakeServer(lambda request: {"return": {}}) as fake:
        ctltest.ctl(fake.path, "reload")
"""

import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import nbdtest

NBD_CTL = os.path.join(os.path.dirname(nbdtest.NBD_EXPORT), "nbd-ctl")
GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
                    "capabilities": []}}


def ctl(path, *args, env=None, **kwargs):
    """Runs nbd-ctl against a socket (None: it is to find one): status, stdout, stderr."""
    command = [NBD_CTL, *(["--socket", path] if path else []), *args]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60,
                          env={**os.environ, **(env or {})}, **kwargs)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def ctl_json(path, *args):
    """The result of a subcommand that must succeed, by --json."""
    status, out, err = ctl(path, "--json", *args)
    assert status == 0 and err == "", (args, status, out, err)
    return json.loads(out)


class FakeServer:
    """Listens; `answer` gets each request, and what it returns (a value, raw bytes, or a list of
    them) is sent.  None closes the connection."""

    count = 0

    def __init__(self, answer, greeting=GREETING, piece=1 << 20):
        self.path = nbdtest.path("fake%d.sock" % FakeServer.count)
        FakeServer.count += 1
        self.answer = answer
        self.greeting = greeting
        self.piece = piece
        self.requests = []
        self.enabled = []           # capabilities, of each connection
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            with conn:
                try:
                    self.serve(conn)
                except OSError:
                    pass

    def send(self, conn, value):
        for each in value if isinstance(value, list) else [value]:
            data = each if isinstance(each, bytes) else json.dumps(each).encode() + b"\r\n"
            for i in range(0, len(data), self.piece):
                conn.sendall(data[i:i + self.piece])

    def serve(self, conn):
        decoder = json.JSONDecoder()
        self.send(conn, self.greeting)
        received = ""
        while True:
            more = conn.recv(1 << 16)
            if not more:
                return
            received += more.decode()
            try:
                request, end = decoder.raw_decode(received)
            except ValueError:
                continue
            received = received[end:].lstrip()
            if request.get("execute") == "qmp_capabilities":
                self.enabled.append(request["arguments"].get("enable", []))
                reply = {"return": {}}
            else:
                self.requests.append(request)
                reply = self.answer(request)
            if reply is None:
                return
            if isinstance(reply, dict) and "id" in request:
                reply = {**reply, "id": request["id"]}
            self.send(conn, reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
