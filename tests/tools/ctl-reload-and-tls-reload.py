#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd-ctl reload has the server do what its file says now, and tells what that was; tls-reload gives
new clients new certificates. What cannot be had is an error, and changes nothing."""

import os
import shutil
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))

from ctltest import ctl, ctl_json
import nbdtest
import qmptest
import rawtls

disks = {name: nbdtest.disk(1 << 20, name) for name in "abcd"}
disks["e"] = nbdtest.path("nothing-like-it")
old, new = rawtls.make_certs("old"), rawtls.make_certs("new")
used = shutil.copytree(old, nbdtest.path("used"))
config = nbdtest.path("config")


def configure(exports, server=""):
    with open(config, "w") as f:
        f.write("[generic]\ntls-certs = %s\ntls-verify-peer = on\n%s\n" % (used, server))
        for name, settings in exports.items():
            f.write("[%s]\nimage = %s\nformat = raw\n%s\n" % (name, disks[name], settings))


def run(*args, status=0):
    got, out, err = ctl(server.qmp_path, *args)
    assert got == status, (args, got, out, err)
    assert bool(err) == (status != 0), (args, out, err)
    return err if status else out


def exports():
    return {e["name"]: e for e in qmp.cmd("x-query-exports")}


def serves(folder):
    with rawtls.connect_tls(server, rawtls.context(folder), name="a") as client:
        client.pwrite(0, b"data")
        client.disconnect()


def refuses(folder):
    with rawtls.TlsClient(server) as client:
        try:
            client.starttls(rawtls.context(folder, certificate=False))
        except ssl.SSLError:
            return
    raise AssertionError("a server with other certificates is trusted")


def the_file():
    assert run("reload") == "nothing has changed\n"
    configure({"a": "read-only = on\nthrottle.iops-total = 100\n", "c": "", "d": "hidden = on"},
              "threads = 3")
    assert run("reload") == ("added: d\nremoved: b\nchanged: a: read-only, throttle.iops-total\n"
                             "takes a restart: threads\n")
    assert set(exports()) == {"a", "c", "d"} and exports()["d"]["hidden"], exports()
    assert exports()["a"]["read-only"], exports()
    assert qmp.cmd("x-query-throttle", id="a")["limits"]["iops-total"] == 100
    configure({"a": "", "c": "", "b": "description = two words"})
    assert ctl_json(server.qmp_path, "reload") == {
        "added": ["b"], "removed": ["d"], "restart": [],
        "changed": [{"export": "a", "settings": ["read-only", "throttle.iops-total"]}]}
    assert exports()["b"]["description"] == "two words" and not exports()["a"]["read-only"]


def a_file_that_is_wrong():
    before = exports()
    configure({"a": "read-only = on", "b": "sizes = 3", "c": ""})
    assert '"size"' in run("reload", status=1)
    configure({"a": "read-only = on", "b": "", "c": "", "e": ""})
    assert "nothing-like-it" in run("reload", status=1)
    assert exports() == before


def certificates():
    configure({"a": "", "b": "", "c": ""})
    shutil.copytree(new, used, dirs_exist_ok=True)
    serves(old)
    refuses(new)
    assert "new clients get" in run("tls-reload")
    serves(new)
    refuses(old)
    with open(os.path.join(used, "server-cert.pem"), "w") as f:
        f.write("no certificate")
    assert "server-cert.pem" in run("tls-reload", status=1)
    assert "server-cert.pem" in run("reload", status=1)
    serves(new)
    shutil.copytree(old, used, dirs_exist_ok=True)
    assert run("reload") == "changed: b: description\n"
    serves(old)


configure({"a": "", "b": "", "c": ""})
with qmptest.Server(["--config=" + config]) as server, server.qmp() as qmp:
    the_file()
    a_file_that_is_wrong()
    certificates()

with qmptest.Server(["--format=raw", disks["a"]]) as server:
    assert "--config" in run("reload", status=1)
    assert "no TLS" in run("tls-reload", status=1)
