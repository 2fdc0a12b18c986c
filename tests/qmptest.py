# SPDX-License-Identifier: LGPL-2.1-or-later
"""For Python tests: a client of the control socket, which holds all it is told against the schema.

    import nbdtest, qmptest

    with qmptest.Server(["--format=raw", nbdtest.disk(1 << 20)]) as server, server.qmp() as qmp:
        qmp.cmd("query-version")["package"]
        qmp.fails("block_resize", "DeviceNotFound", device="nope", size=1)
        qmp.wait_event("x-CLIENT_CONNECTED", lambda data: data["id"] == 3)
"""

import json
import socket
import time

import nbdtest

TIMEOUT = 60


class QmpError(Exception):
    """A command was refused, or has failed."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error["class"], error["desc"]))
        self.cls = error["class"]
        self.desc = error["desc"]


class Schema:
    """What query-qmp-schema has told."""

    JSON_TYPES = {"string": str, "number": (int, float), "boolean": bool, "null": type(None),
                  "int": int, "object": dict, "array": list}

    def __init__(self, infos):
        self.types = {i["name"]: i for i in infos if i["meta-type"] not in ("command", "event")}
        self.commands = {i["name"]: i for i in infos if i["meta-type"] == "command"}
        self.events = {i["name"]: i for i in infos if i["meta-type"] == "event"}

    def check(self, name, value, where):
        """Fails unless the value is of the type."""
        info = self.types[name]
        kind = info["meta-type"]
        if kind == "builtin":
            self.check_builtin(info["json-type"], value, where)
        elif kind == "enum":
            assert value in info["values"], "%s: %r is none of %s" % (where, value, info["values"])
        elif kind == "array":
            assert isinstance(value, list), "%s: %r is no list" % (where, value)
            for i, each in enumerate(value):
                self.check(info["element-type"], each, "%s[%d]" % (where, i))
        else:
            self.check_object(info, value, where)

    def check_builtin(self, kind, value, where):
        if kind != "value":
            ok = isinstance(value, self.JSON_TYPES[kind])
            ok &= kind == "boolean" or not isinstance(value, bool)
            assert ok, "%s: %r is no %s" % (where, value, kind)

    def check_object(self, info, value, where):
        assert isinstance(value, dict), "%s: %r is no object" % (where, value)
        members = {m["name"]: m for m in info["members"]}
        for name, member in members.items():
            if name in value:
                self.check(member["type"], value[name], where + "." + name)
            else:
                assert "default" in member, "%s lacks %s: %r" % (where, name, value)
        unknown = set(value) - set(members)
        assert not unknown or info.get("x-open"), "%s: %s is not in %s" % (where, unknown,
                                                                         info["name"])


class Qmp:
    """A session; `events` are those that no wait_event() has taken, in the order they came."""

    def __init__(self, path, negotiate=True, oob=False):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(path)
        self.received = b""
        self.events = []
        self.schema = None
        self.next_id = 0
        self.greeting = self.receive()
        if negotiate and "QMP" in self.greeting:
            self.cmd("qmp_capabilities", **({"enable": ["oob"]} if oob else {}))
            self.schema = Schema((self.oob if oob else self.cmd)("query-qmp-schema"))

    def receive(self):
        """The next line as a value; None: there are no more."""
        while b"\n" not in self.received:
            more = self.sock.recv(1 << 16)
            if not more:
                return None
            self.received += more
        line, self.received = self.received.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return json.loads(line)

    def take_event(self, event):
        assert set(event) <= {"event", "timestamp", "data"}, event
        age = time.time() - event["timestamp"]["seconds"]
        assert -2 < age < 3600 and 0 <= event["timestamp"]["microseconds"] < 1000000, event
        if self.schema:
            info = self.schema.events[event["event"]]
            self.schema.check(info["arg-type"], event.get("data", {}), event["event"])
        self.events.append(event)

    def reply(self):
        """The next line that is no event."""
        while True:
            line = self.receive()
            if line is None or "event" not in line:
                return line
            self.take_event(line)

    def send(self, command, arguments, how="execute"):
        """Sends a command; its id, for result()."""
        self.next_id += 1
        self.send_line({how: command, "arguments": arguments, "id": self.next_id})
        return self.next_id

    def send_line(self, value):
        self.sock.sendall(json.dumps(value).encode() + b"\n")

    def result(self, command, number):
        """What the command of that id has returned; raises QmpError."""
        reply = self.reply()
        assert reply is not None, "the server has closed the control socket"
        assert reply.get("id") == number, reply
        if "error" in reply:
            assert set(reply) == {"error", "id"} and set(reply["error"]) == {"class", "desc"}, reply
            raise QmpError(reply["error"])
        assert set(reply) == {"return", "id"}, reply
        if self.schema:
            self.schema.check(self.schema.commands[command]["ret-type"], reply["return"], command)
        return reply["return"]

    def cmd(self, command, **arguments):
        """Runs a command; what it returns, or a QmpError.  In names of arguments, "_" stands for
        "-", unless the command has it itself."""
        return self.cmd_args(command, self.named_as_it_has_them(command, arguments))

    def oob(self, command, **arguments):
        """The same out of band, for a session that has negotiated it."""
        arguments = self.named_as_it_has_them(command, arguments)
        return self.result(command, self.send(command, arguments, "exec-oob"))

    def named_as_it_has_them(self, command, arguments):
        names = self.argument_names(command)
        return {k if k in names else k.replace("_", "-"): v for k, v in arguments.items()}

    def argument_names(self, command):
        info = self.schema and self.schema.commands.get(command)
        return {m["name"] for m in self.schema.types[info["arg-type"]]["members"]} if info else {}

    def cmd_args(self, command, arguments):
        """The same with a dict."""
        return self.result(command, self.send(command, arguments))

    def fails(self, command, cls="GenericError", **arguments):
        """Runs a command that must fail with that class; what the error says."""
        try:
            result = self.cmd(command, **arguments)
        except QmpError as e:
            assert e.cls == cls, "%s %s: %s, expected class %s" % (command, arguments, e, cls)
            return e.desc
        raise AssertionError("%s %s did not fail: %r" % (command, arguments, result))

    def wait_event(self, name, predicate=lambda data: True):
        """Takes the first event of that name whose data is such, waiting for it if need be; its
        data.  Those before it stay in `events`."""
        i, end = 0, time.monotonic() + 2 * TIMEOUT
        while True:
            while i == len(self.events):
                assert time.monotonic() < end, "no event %s among %s" % (name, self.events[-20:])
                try:
                    line = self.receive()
                except TimeoutError:
                    raise AssertionError("no event %s among %s" % (name, self.events[-20:]))
                assert line is not None, "no event %s before the end" % name
                assert "event" in line, "a reply to nothing: %r" % line
                self.take_event(line)
            event = self.events[i]
            if event["event"] == name and predicate(event.get("data", {})):
                del self.events[i]
                return event.get("data", {})
            i += 1

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server(nbdtest.Server):
    """A server with a control socket."""

    def __init__(self, args, **kwargs):
        self.qmp_path = nbdtest.path("qmp%d.sock" % nbdtest.Server.count)
        super().__init__(["--qmp=" + self.qmp_path, *args], **kwargs)

    def qmp(self, **kwargs):
        """One more session."""
        return Qmp(self.qmp_path, **kwargs)
