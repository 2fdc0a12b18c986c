#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual lists the metrics that there are, with their labels; and those that the examples for
Prometheus and Grafana name exist."""

import os
import re
import subprocess
import sys

source = os.environ.get("abs_top_srcdir",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(source, "tests"))
import metricstest  # noqa: E402
import nbdtest  # noqa: E402


def read(name):
    with open(os.path.join(source, name)) as file:
        return file.read()


def in_manual():
    return {(name, tuple(sorted(filter(None, (labels or "").split(",")))))
            for name, labels in re.findall(r"^=item B<((?:nbd_export|process)_\w+)>(?:\{(.*)\})?",
                                           read("docs/nbd-export.pod"), re.M)}


def in_page(page):
    """Histograms by the name of all their series."""
    found = set()
    for family in page.families:
        for sample in family.samples:
            name = family.name if family.type == "histogram" else sample.name
            found.add((name, tuple(sorted(set(sample.labels) - {"le"}))))
    return found


with nbdtest.Server(["--metrics=0", "-v", "--export=name=a,image=%s,format=raw"
                     % nbdtest.disk(1 << 20)]) as server:
    page = metricstest.Metrics(server).page()
there = in_page(page)
assert there and there == in_manual(), \
    "not the same in docs/nbd-export.pod and on the page: %s" % (there ^ in_manual())
