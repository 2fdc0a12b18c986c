#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual lists the metrics that there are, with their labels; and those that the examples for
Prometheus and Grafana name exist."""

import json
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


def in_dashboard():
    """The expressions of the panels, with values where Grafana has variables."""
    dashboard = json.loads(read("examples/prometheus/grafana-dashboard.json"))
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [text.replace("$__rate_interval", "5m") for text in texts]


def is_promql(expressions):
    with open(nbdtest.path("rules.yml"), "w") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": [
            {"record": "panel:%d" % i, "expr": text} for i, text in enumerate(expressions)]}]}, file)
    subprocess.run(["promtool", "check", "rules", file.name], check=True)


def examples_fit(page):
    names = {sample.name for family in page.families for sample in family.samples}
    expressions = in_dashboard()
    is_promql(expressions)
    rules = os.path.join(source, "examples/prometheus/nbd-export.rules.yml")
    subprocess.run(["promtool", "check", "rules", rules], check=True)
    subprocess.run(["promtool", "check", "config", os.path.join(os.path.dirname(rules),
                                                                "prometheus.yml")], check=True)
    named = set(re.findall(r"\b(?:nbd_export|process)_[a-z_]+\b",
                           "\n".join(expressions) + read("examples/prometheus/nbd-export.rules.yml")))
    assert len(named) > 10 and named <= names, "no such metric: %s" % (named - names)
    # Each metric of ours is on the dashboard.
    missing = {name for name in names if name.startswith("nbd_export")} - named
    missing = {name for name in missing if not re.search("_(sum|count|info)$", name)}
    assert not missing, "on no panel and in no alert: %s" % missing


with nbdtest.Server(["--metrics=0", "-v", "--export=name=a,image=%s,format=raw"
                     % nbdtest.disk(1 << 20)]) as server:
    page = metricstest.Metrics(server).page()
there = in_page(page)
assert there and there == in_manual(), \
    "not the same in docs/nbd-export.pod and on the page: %s" % (there ^ in_manual())
examples_fit(page)
