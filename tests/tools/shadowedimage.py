# SPDX-License-Identifier: LGPL-2.1-or-later
"""A qcow2 image at random, and beside it in memory what it must hold: the content, the content of
each snapshot, and what was written since each bitmap was last clear."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from twotools import Failure, mask

SECTOR = 512
KINDS = [
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k,refcount_bits=1",
    "cluster_size=4k,refcount_bits=64", "cluster_size=16k,extended_l2=on", "cluster_size=2M",
    "cluster_size=2M,extended_l2=on", "refcount_bits=2", "refcount_bits=8", "extended_l2=on",
    "lazy_refcounts=on", "cluster_size=8k,lazy_refcounts=on", "compression_type=zstd",
    "cluster_size=4k", "cluster_size=1k,compat=0.10", "cluster_size=32k,refcount_bits=32",
    "preallocation=metadata", "preallocation=falloc", "cluster_size=4k,preallocation=full",
    "extended_l2=on,preallocation=metadata", "cluster_size=16k,extended_l2=on,preallocation=falloc",
    "data_file=DATA,data_file_raw=off", "data_file=DATA,data_file_raw=on",
    "data_file=DATA,cluster_size=4k", "data_file=DATA,extended_l2=on",
]
BASE_FORMATS = ["raw", "qcow2"]


def first_difference(have, want):
    if have == want:
        return "all is equal"
    if len(have) != len(want):
        return f"{len(have)} bytes, not {len(want)}"
    at = next(i for i in range(len(want)) if have[i] != want[i])
    end = max(i for i in range(len(want)) if have[i] != want[i]) + 1
    return f"byte {at} is {have[at]}, not {want[at]} (the last one that differs: {end - 1})"


class Bitmap:
    def __init__(self, enabled):
        self.enabled = enabled
        self.dirty = []         # (offset, end)


class Image:
    """In a folder of its own, where all tools run; every name in it is relative."""

    def __init__(self, random, qemu, ours, folder):
        self.random, self.qemu, self.ours, self.folder = random, qemu, ours, folder
        self.names = 0
        self.chain = []         # (name, format) of the backing files, the nearest first
        self.snapshots = {}     # name: content
        self.bitmaps = {}       # name: Bitmap
        self.pool = ThreadPoolExecutor(4)
        self.name = self.new_name("image")
        self.kind = random.choice(KINDS)
        size = random.choice([1, 2, 3, 5]) << 20
        size += random.choice([0, 0, 512, 65536, 12800])
        if self.may_have_backing(self.kind):
            self.make_chain(random.choice([0, 1, 1, 2]), size)
        words = self.backing_words(self.chain[0]) if self.chain else []
        maker = random.choice([qemu, ours])
        maker.must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "-o",
                   self.options(self.kind), *words, self.name, size)
        self.info = {}
        self.shadow = bytearray(self.content(qemu))
        self.refresh()

    def close(self):
        self.pool.shutdown()

    @staticmethod
    def may_have_backing(kind):
        return "raw=on" not in kind and ("prealloc" not in kind or "extended" in kind)

    def new_name(self, what):
        self.names += 1
        return f"{what}{self.names}"

    def options(self, kind):
        return kind.replace("DATA", self.name + ".data")

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def size(self):
        return len(self.shadow)

    # Backing files.

    def make_chain(self, depth, size):
        for level in range(depth):
            formats = BASE_FORMATS if level == 0 else ["qcow2"]
            self.chain.insert(0, self.make_base(self.random.choice(formats), size))

    def make_base(self, fmt, size):
        """A new image over the chain as it is, with something in it."""
        name = self.new_name("base")
        size = self.random.choice([size, size // 1024 * 512 + SECTOR, size + (1 << 20)])
        words = self.backing_words(self.chain[0]) if self.chain else []
        self.qemu.must(self.folder, "qemu-img", "create", "-q", "-f", fmt, *words, name, size)
        commands = []
        for _ in range(8):
            offset = self.random.randrange(size)
            count = min(self.random.randrange(1, 300000), size - offset)
            commands += ["-c", f"write -P {self.random.randrange(1, 255)} {offset} {count}"]
        self.qemu.must(self.folder, "qemu-io", "-f", fmt, *commands, name)
        return name, fmt

    def backing_words(self, base):
        """-b and -F, the name spelled in one of the ways."""
        name, fmt = base
        if self.random.random() < .3:
            spelled = {"driver": fmt, "file": {"driver": "file", "filename": name}}
            return ["-b", "json:" + json.dumps(spelled), "-F", fmt]
        return ["-b", name, "-F", fmt]

    # What it holds.

    def content(self, tools, *words):
        raw = self.path("raw." + tools.name)
        tools.must(self.folder, "qemu-img", "convert", *words, "-f", "qcow2", "-O", "raw",
                   self.name, raw)
        with open(raw, "rb") as f:
            return f.read()

    def refresh(self):
        """Reads anew what kind of image it is."""
        self.info = json.loads(self.qemu.must(
            self.folder, "qemu-img", "info", "--output=json", "-f", "qcow2", self.name))
        self.data = self.info["format-specific"]["data"]

    @property
    def cluster(self):
        return self.info["cluster-size"]

    @property
    def version(self):
        return 2 if self.data["compat"] == "0.10" else 3

    @property
    def has_data_file(self):
        return "data-file" in self.data

    def wrote(self, offset, count, value):
        self.shadow[offset:offset + count] = bytes([value]) * count
        self.dirtied(offset, offset + count)

    def dirtied(self, offset, end):
        for bitmap in self.bitmaps.values():
            if bitmap.enabled:
                bitmap.dirty.append((offset, end))

    def discarded(self, offset, count):
        """Each sector there is now what it was, or zero; the image says which."""
        have = self.content(self.qemu)
        for at in range(offset, offset + count, SECTOR):
            if not any(have[at:at + SECTOR]):
                self.shadow[at:at + SECTOR] = bytes(SECTOR)

    def resized(self, size):
        if size < self.size:
            del self.shadow[size:]
        else:
            self.shadow += bytes(size - self.size)
        for bitmap in self.bitmaps.values():
            bitmap.dirty = [(a, min(b, size)) for a, b in bitmap.dirty if a < size]

    def replaced(self, name):
        """It is that image now: what belonged to the old one is gone."""
        for old in (self.name, self.name + ".data"):
            if old != name and os.path.exists(self.path(old)):
                os.unlink(self.path(old))
        self.name = name

    # Whether it does hold it.

    def check(self):
        """Both tools find it sound, and see in it what is in the shadow."""
        work = [self.pool.submit(self.is_sound, tools) for tools in (self.qemu, self.ours)]
        work += [self.pool.submit(self.is_shadow, tools) for tools in (self.qemu, self.ours)]
        for job in work:
            job.result()
        self.refresh()
        for what, have, want in (
                ("snapshots", [s["name"] for s in self.info.get("snapshots", [])],
                 list(self.snapshots)),
                ("bitmaps", sorted(b["name"] for b in self.data.get("bitmaps", [])),
                 sorted(self.bitmaps))):
            if have != want:
                raise Failure(f"{what}: {have}, not {want}")

    def is_sound(self, tools):
        tools.must(self.folder, "qemu-img", "check", "-q", self.name)

    def is_shadow(self, tools):
        have = self.content(tools)
        if have != self.shadow:
            raise Failure(f"as {tools.name} reads it: {first_difference(have, self.shadow)}")

    def check_snapshots(self):
        """qemu-img 7.2 reads as many bytes as the image has now, ours those that it had then."""
        for name, want in self.snapshots.items():
            theirs, ours = (self.content(tools, "-l", name) for tools in (self.qemu, self.ours))
            end = min(len(theirs), len(want))
            if ours != want or theirs[:end] != want[:end]:
                raise Failure(f"snapshot {name}: as ours reads it {first_difference(ours, want)}; "
                              f"as qemu does {first_difference(theirs[:end], want[:end])}")

    def dirty_extents(self, name):
        """What qemu-nbd says is dirty: [(offset, end)]."""
        out = subprocess.run(
            ["nbdinfo", "--json", f"--map=qemu:dirty-bitmap:{name}", "--", "[", "qemu-nbd", "-r",
             "-t", "-f", "qcow2", "-B", name, self.path(self.name), "]"],
            check=True, cwd=self.folder, stdout=subprocess.PIPE, text=True).stdout
        return [(e["offset"], e["offset"] + e["length"]) for e in json.loads(out) if e["type"]]

    def check_bitmaps(self):
        """No write is missing from a bitmap that was enabled."""
        if not self.bitmaps or not shutil.which("qemu-nbd") or not shutil.which("nbdinfo"):
            return
        for name, bitmap in self.bitmaps.items():
            extents = self.dirty_extents(name)
            for offset, end in bitmap.dirty:
                at = offset
                for a, b in extents:
                    if a <= at < b:
                        at = b
                if at < end:
                    raise Failure(f"bitmap {name}: {at} is clean, but {offset} to {end} is not")

    def check_same_said(self, *words):
        """Both tools answer alike."""
        theirs, ours = (tools.run(self.folder, "qemu-img", *words)
                        for tools in (self.qemu, self.ours))
        if (theirs.status, mask(theirs.output)) != (ours.status, mask(ours.output)):
            raise Failure(f"qemu-img {' '.join(map(str, words))}:\n"
                          f"--- qemu: {theirs.status}\n{theirs.output}"
                          f"--- ours: {ours.status}\n{ours.output}")
