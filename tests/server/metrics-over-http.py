#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--metrics: both formats are well-formed and say the same, clients get the one they ask for, other
requests are refused, those who dawdle keep nobody out, and listening beyond this machine warns."""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import metricstest  # noqa: E402
import nbdtest  # noqa: E402

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What each Accept header gets.
ACCEPTS = {
    None: TEXT,
    "*/*": TEXT,
    "text/html": TEXT,
    "application/openmetrics-text": OPENMETRICS,
    "application/openmetrics-text; version=0.0.1": TEXT,
    "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.5": TEXT,
    "text/plain;q=0.5 , Application/OpenMetrics-Text; version=1.0.0 ;q=0.75": OPENMETRICS,
    # Prometheus 2.42
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1": OPENMETRICS,
    ",;=;q,q=,application/openmetrics-text;q=;version=,;": TEXT,
}
# Method and path, status and what else there must be.
REQUESTS = (
    ("HEAD", "/metrics", 200, ""),
    ("GET", "/", 200, "/metrics"),
    ("GET", "/metrics?x=1", 200, "# TYPE"),
    ("GET", "/metrics/", 404, "/metrics"),
    ("GET", "/../metrics", 404, "/metrics"),
    ("POST", "/metrics", 405, "GET"),
    ("PUT", "/", 405, "GET"),
    ("NONSENSE", "/metrics", 405, "GET"),
)


def checks_of_promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and not done.stdout, done.stdout


def series(page):
    return {key for key in page}


def dawdle(metrics):
    """Half a request from as many as there may be, but for one: the next is served at once."""
    lazy = []
    for _ in range(15):
        s = socket.create_connection((metrics.host, metrics.port), timeout=60)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX")
        lazy.append(s)
    metrics.text()
    # A head beyond measure ends, answered or not.
    s = socket.create_connection((metrics.host, metrics.port), timeout=60)
    try:
        s.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 100000)
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    s.close()
    metrics.text()
    return lazy


disk = "--export=name=a,image=%s,format=raw" % nbdtest.disk(1 << 20)
with nbdtest.Server(["--metrics=0", "-v", disk]) as server:
    metrics = metricstest.Metrics(server)
    assert metrics.host == "127.0.0.1"
    for accept, content_type in ACCEPTS.items():
        response, text = metrics.request(accept=accept)
        assert response.headers["Content-Type"] == content_type, (accept, response.headers.items())
        assert text.endswith("# EOF\n") == (content_type == OPENMETRICS)
    for method, path, status, word in REQUESTS:
        response, text = metrics.request(method, path)
        assert response.status == status and word in text, (method, path, response.status, text)
    checks_of_promtool(metrics.text())
    assert series(metrics.page()) == series(metrics.page(accept=None))
    assert "warning" not in server.log(), server.log()
    lazy = dawdle(metrics)      # still there when the server ends

with nbdtest.Server(["--metrics=[::]:0", "-v", disk]) as server:
    assert "can read the metrics" in server.log(), server.log()
    metricstest.Metrics(server).text()
