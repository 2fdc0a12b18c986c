# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the same thing with image-tool and with qemu-img, each in a folder of its own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

if not shutil.which("qemu-img"):
    print("needs qemu-img")
    sys.exit(77)

BUILD = os.environ.get("abs_top_builddir", os.getcwd())
TOOL = os.path.join(BUILD, "tests/lib/image-tool")
O_NO_BACKING = 0x100


class Folders:
    """Two folders with the same files: "ours" and "theirs"."""

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix="blk-", dir="/tmp")
        self.ours = os.path.join(self.top, "ours")
        self.theirs = os.path.join(self.top, "theirs")
        self.clear()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def clear(self):
        for folder in self.ours, self.theirs:
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)


def run(folder, *args):
    """(exit status, all output) of a program in that folder."""
    done = subprocess.run(args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, text=True)
    if done.returncode < 0:
        sys.exit(f"{args} was killed by signal {-done.returncode}")
    return done.returncode, done.stdout


def must(folder, *args):
    status, text = run(folder, *args)
    if status:
        sys.exit(f"{args} failed with {status}: {text}")
    return text


def image_json(folder, *args):
    return json.loads(must(folder, "qemu-img", *args, "--output=json"))


def info(folder, name):
    """What `qemu-img info` says, without where and how big."""
    said = image_json(folder, "info", "-U", name)
    for key in "actual-size", "full-backing-filename":
        said.pop(key, None)
    return said


def disk_map(folder, name, ignored=()):
    """(start, end, data, zero, depth, present) of pieces, those alike put together."""
    pieces = []
    for piece in image_json(folder, "map", name):
        state = tuple(piece[key] for key in ("data", "zero", "depth", "present")
                      if key not in ignored)
        end = piece["start"] + piece["length"]
        if pieces and pieces[-1][2] == state:
            pieces[-1] = (pieces[-1][0], end, state)
        else:
            pieces.append((piece["start"], end, state))
    return pieces


def clean(folder, name, fmt="qcow2"):
    status, text = run(folder, "qemu-img", "check", "-f", fmt, name)
    if status:
        sys.exit(f"{name} in {folder}: qemu-img check says {status}: {text}")
