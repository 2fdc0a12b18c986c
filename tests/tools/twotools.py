# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's tools, and ours called by the same names, so that what both print can be compared."""

import os
import re
import shutil
import subprocess

import nbdtest

# What no two runs on equal images have in common.
VOLATILE = [
    (re.compile(r"( ops; ).*"), r"\1TIME"),
    (re.compile(r"#block\d+"), "#NODE"),
    (re.compile(r'"actual-size": \d+'), '"actual-size": SIZE'),
    (re.compile(r"disk size: .*"), "disk size: SIZE"),
    (re.compile(r'"date-(sec|nsec)": \d+'), r'"date-\1": TIME'),
]


def mask(text):
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    return text


class Failure(Exception):
    """Something is not as it must be."""


class Done:
    def __init__(self, status, output):
        self.status = status
        self.output = output


class Tools:
    """qemu-img and qemu-io, whoever made them."""

    def __init__(self, name, folder=None, io_words=()):
        self.name = name
        self.io_words = list(io_words)
        self.program = {p: os.path.join(folder, p) if folder else shutil.which(p)
                        for p in ("qemu-img", "qemu-io")}

    def run(self, folder, program, *words):
        """Runs it in `folder`; its status is the caller's affair, a crash or a hang is not."""
        command = [program, *(self.io_words if program == "qemu-io" else []), *map(str, words)]
        try:
            done = subprocess.run(
                command, executable=self.program[program], cwd=folder, timeout=120, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: no end of {command}") from None
        if done.returncode < 0 or done.returncode > 3 or "Sanitizer" in done.stdout:
            raise Failure(f"{self.name}: {command}: status {done.returncode}\n{done.stdout}")
        return Done(done.returncode, done.stdout)

    def must(self, folder, program, *words):
        """Runs what has to succeed, and returns what it prints."""
        done = self.run(folder, program, *words)
        if done.status:
            raise Failure(f"{self.name}: {program} {' '.join(map(str, words))}: "
                          f"status {done.status}\n{done.output}")
        return done.output


def both():
    """QEMU's tools and ours; skips the test where the former are missing."""
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        nbdtest.skip("qemu-img and qemu-io are not installed")
    build = os.environ.get("abs_top_builddir", os.getcwd())
    ours = nbdtest.path("bin")
    os.mkdir(ours)
    for name in ("img", "io"):
        os.symlink(os.path.join(build, "blk-" + name), os.path.join(ours, "qemu-" + name))
    engine = [] if nbdtest.ENGINE == "auto" else ["-i", nbdtest.ENGINE]
    return Tools("qemu"), Tools("ours", ours, engine)
