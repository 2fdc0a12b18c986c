# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests that damage qcow2 images: what is where in one, and both tools' opinion of it."""

import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["abs_top_srcdir"], "tests"))
import nbdtest  # noqa: E402

CHECK_IMAGE = os.path.join(os.environ["abs_top_builddir"], "tests", "check-image")
OFFSET = 0x00fffffffffffe00
NUMBERS = ["corruptions", "leaks", "check-errors", "image-end-offset", "total-clusters",
           "allocated-clusters", "fragmented-clusters", "compressed-clusters"]

if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
    nbdtest.skip("qemu-img and qemu-io are not installed")


def run(*command, status=(0,)):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace", timeout=100)
    if done.returncode not in status:
        raise RuntimeError(f"{command} ended with status {done.returncode}:\n"
                           f"{done.stdout}{done.stderr}")
    return done


def faults(text):
    """The lines about faults, in any order."""
    text = text.replace("Some clusters may be leaked, run 'qemu-img check -r' on the image file to "
                        "fix.", "")
    lines = (line.removeprefix("qemu-img: ") for line in text.splitlines())
    return sorted(line for line in lines
                  if not line.startswith(("Check failed", "qcow2: ", "blkbackend: ", "warning: ")))


class Result:
    """Numbers of a check (None: it could not be done), and what was said."""
    def __init__(self, numbers, text):
        self.numbers = numbers
        self.text = text
        self.faults = faults(text)

    @property
    def clean(self):
        return self.numbers is not None and not any(
            self.numbers[n] for n in ("corruptions", "leaks", "check-errors"))


def qemu_check(image, fix=None):
    done = run("qemu-img", "check", "--output=json", "-f", "qcow2",
               *(["-r", fix] if fix else []), image, status=(0, 1, 2, 3))
    if not done.stdout:
        return Result(None, done.stderr)
    found = json.loads(done.stdout)
    return Result({n: found.get(n, 0) for n in NUMBERS}, done.stderr)


def our_check(image, fix=None):
    done = run(CHECK_IMAGE, "check", image, *([fix] if fix else []), status=(0, 1))
    if done.returncode:
        return Result(None, done.stderr)
    found = json.loads(done.stdout)
    return Result(None if found["ret"] else {n: found[n] for n in NUMBERS}, done.stderr)


class Image:
    """The tables of an image, which can be read and overwritten by the back door."""
    def __init__(self, name):
        self.name = name
        self.file = open(name, "r+b", buffering=0)
        self.version = self.get(4, ">I")
        self.bits = self.get(20, ">I")
        self.cluster = 1 << self.bits
        self.l1_size, self.l1 = self.get(36, ">I"), self.get(40, ">Q")
        self.reftable = self.get(48, ">Q")
        self.reftable_bytes = self.get(56, ">I") << self.bits
        self.nb_snapshots, self.snapshots = self.get(60, ">I"), self.get(64, ">Q")
        self.order = self.get(96, ">I") if self.version > 2 else 4
        self.extended = self.version > 2 and bool(self.get(72, ">Q") & 16)
        self.entry_bytes = 16 if self.extended else 8
        self.refblock = self.get(self.reftable, ">Q")

    def close(self):
        self.file.close()

    def get(self, offset, form):
        data = os.pread(self.file.fileno(), struct.calcsize(form), offset)
        return struct.unpack(form, data.ljust(struct.calcsize(form), b"\0"))[0]

    def put(self, offset, form, value):
        os.pwrite(self.file.fileno(), struct.pack(form, value), offset)

    def flip(self, offset, bits=0xff):
        self.put(offset, "B", self.get(offset, "B") ^ bits)

    def l2(self, index=0):
        """The place of the L2 table that entry `index` of the L1 table names."""
        return self.get(self.l1 + 8 * index, ">Q") & OFFSET

    def entry(self, cluster):
        """The place of the L2 entry of a guest cluster."""
        per_table = self.cluster // self.entry_bytes
        return self.l2(cluster // per_table) + cluster % per_table * self.entry_bytes

    def host(self, cluster):
        return self.get(self.entry(cluster), ">Q") & OFFSET

    def refblock_of(self, cluster):
        """The refcount block of a host cluster, and which of its entries is the cluster's."""
        per_block = self.cluster * 8 >> self.order
        return (self.get(self.reftable + 8 * (cluster // per_block), ">Q"), cluster % per_block)

    def set_count(self, host, value):
        """The refcount of a host cluster."""
        block, i = self.refblock_of(host >> self.bits)
        bits = 1 << self.order
        assert block, "there is no refcount block"
        if bits >= 8:
            self.put(block + i * bits // 8, {8: "B", 16: ">H", 32: ">I", 64: ">Q"}[bits], value)
        else:
            at, shift, mask = block + i * bits // 8, i * bits % 8, (1 << bits) - 1
            self.put(at, "B", self.get(at, "B") & ~(mask << shift) | (value & mask) << shift)

    def tables(self):
        """Areas of metadata: (offset, bytes)."""
        areas = [(0, 112), (self.l1, 8 * self.l1_size), (self.reftable, 64),
                 (self.refblock, min(self.cluster, 512))]
        areas += [(self.l2(i), min(self.cluster, 4096)) for i in range(min(self.l1_size, 8))
                  if self.l2(i)]
        if self.nb_snapshots:
            areas.append((self.snapshots, 200))
            snapshot_l1 = self.get(self.snapshots, ">Q")
            areas.append((snapshot_l1, 64))
        return areas


def make(name, kind, size="8M", snapshots=0, compressed=False, bitmap=False):
    """An image with data at the beginning, and what else is asked for; known content."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", kind, name, size)
    if bitmap:
        run("qemu-img", "bitmap", "--add", name, "b0")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 3M", "-c", "write -z 1M 256k", name)
    for i in range(snapshots):
        run("qemu-img", "snapshot", "-c", f"snap{i}", name)
        run("qemu-io", "-f", "qcow2", "-c", f"write -P {2 + i} {i * 512}k 300k", name)
    if compressed:
        run("qemu-io", "-f", "qcow2", "-c", "write -c -P 9 4M 1M", name)


def content(name, to):
    """What qemu-img reads, as a raw image."""
    return run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", name, to,
               status=(0, 1)).returncode == 0
