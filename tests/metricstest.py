# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of --metrics: pages fetched and taken apart by Prometheus' own Python library.

    with nbdtest.Server(["--metrics=0", "-v", ...]) as server:
        metrics = metricstest.Metrics(server)
        metrics.value("nbd_export_clients", export="a")
"""

import http.client
import re

from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser

OPENMETRICS = "application/openmetrics-text"


class Page(dict):
    """Values by name and labels."""

    def __init__(self, families):
        super().__init__()
        self.families = list(families)
        for family in self.families:
            for sample in family.samples:
                key = self.key(sample.name, sample.labels)
                assert key not in self, "twice: %s" % (key,)
                self[key] = sample.value

    @staticmethod
    def key(name, labels):
        return name, tuple(sorted(labels.items()))

    def value(self, name, **labels):
        return self[self.key(name, labels)]


class Metrics:
    """Where a server serves its metrics; it runs with -v and tells the port."""

    def __init__(self, server):
        match = re.search(r"metrics are served on (.*):(\d+)", server.log())
        self.host, self.port = match[1].strip("[]"), int(match[2])

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def request(self, method="GET", path="/metrics", accept=None):
        """The response, read, and its text."""
        connection = self.connect()
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def text(self, accept=None):
        response, text = self.request(accept=accept)
        assert response.status == 200, response.status
        return text

    def page(self, accept=OPENMETRICS):
        text = self.text(accept)
        parse = (openmetrics.parser if accept == OPENMETRICS else parser)
        return Page(parse.text_string_to_metric_families(text))

    def value(self, name, **labels):
        return self.page().value(name, **labels)
