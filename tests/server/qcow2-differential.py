# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our writes and QEMU's in turn on the same qcow2 image, at random, beside a shadow in memory.

After each round `qemu-img check` finds nothing and the content is the shadow's.  $SEED is the
first image's seed, $IMAGES and $ROUNDS say how many images, and rounds on each.
"""

import os
import random
import shutil
import subprocess

import sys

sys.path.insert(0, os.path.join(os.environ["abs_top_srcdir"], "tests"))
import nbdtest  # noqa: E402

try:
    import nbd
except ImportError:
    nbdtest.skip("the nbd module of Python is not installed")
if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
    nbdtest.skip("qemu-img and qemu-io are not installed")

IMAGE, RAW, BASE, DATA = (nbdtest.path(n) for n in ("image", "raw", "base", "data"))
OUR_IMG = os.path.join(os.environ["abs_top_builddir"], "blk-img")
KINDS = [
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k,refcount_bits=1",
    "cluster_size=4k,refcount_bits=64", "cluster_size=16k,extended_l2=on", "cluster_size=2M",
    "cluster_size=2M,extended_l2=on", "refcount_bits=2", "extended_l2=on",
    "preallocation=metadata", "extended_l2=on,preallocation=metadata", "compression_type=zstd",
    f"data_file={DATA},data_file_raw=off", f"data_file={DATA},data_file_raw=on",
]


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with status {done.returncode}:\n{done.stdout}")


class Image:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.kind = self.random.choice(KINDS)
        self.backing = None
        self.snapshots = {}
        self.size = self.random.choice([3, 5, 8]) << 20
        self.size += self.random.choice([0, 512, 65536, 12800])
        for name in (IMAGE, RAW, BASE, DATA):
            if os.path.exists(name):
                os.unlink(name)
        if "raw=on" not in self.kind and "prealloc" not in self.kind:
            self.backing = self.random.choice([None, "raw", "qcow2"])
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", self.kind]
        if self.backing:
            self.make_base()
            command += ["-b", BASE, "-F", self.backing]
        run(*command, IMAGE, str(self.size))
        self.shadow = bytearray(self.content())

    def make_base(self):
        size = self.random.choice([self.size // 1024 * 512, self.size + (1 << 20)])
        run("qemu-img", "create", "-q", "-f", self.backing, BASE, str(size))
        for _ in range(10):
            offset = self.random.randrange(size)
            count = min(self.random.randrange(1, 300000), size - offset)
            run("qemu-io", "-f", self.backing, "-c",
                f"write -P {self.random.randrange(1, 255)} {offset} {count}", BASE)

    def content(self):
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", IMAGE, RAW)
        with open(RAW, "rb") as f:
            return f.read()

    def check(self):
        run("qemu-img", "check", "-q", IMAGE)
        have = self.content()
        if have != self.shadow:
            at = next(i for i in range(self.size) if have[i] != self.shadow[i])
            raise RuntimeError(f"{self.kind}: byte {at} is {have[at]}, not {self.shadow[at]}")

    def range(self):
        """Anything from a few bytes to the whole disk, sometimes on edges."""
        kind = self.random.random()
        if kind >= 0.9:
            return 0, self.size
        if kind < 0.4:
            unit = self.random.choice([512, 4096, 65536])
            offset = self.random.randrange(self.size // unit) * unit
            count = self.random.randrange(1, 40) * unit
        else:
            offset = self.random.randrange(self.size)
            count = self.random.randrange(1, self.random.choice([2000, 100000, 1000000]))
        return offset, min(count, self.size - offset)

    def our_request(self, h):
        offset, count = self.range()
        what = self.random.choice("wwwwwzzudrrf")
        if what == "w":
            data = bytes([self.random.randrange(1, 256)]) * count
            h.pwrite(data, offset, nbd.CMD_FLAG_FUA if self.random.random() < .1 else 0)
            self.shadow[offset:offset + count] = data
        elif what in "zu":
            h.zero(count, offset, nbd.CMD_FLAG_NO_HOLE if what == "z" else 0)
            self.shadow[offset:offset + count] = bytes(count)
        elif what == "d":
            h.trim(count, offset)   # what is there then is the server's choice
            self.shadow[offset:offset + count] = h.pread(count, offset)
        elif what == "r":
            if h.pread(count, offset) != self.shadow[offset:offset + count]:
                raise RuntimeError(f"{self.kind}: reading {count} bytes at {offset}")
        elif h.can_flush():
            h.flush()

    def our_turn(self):
        cache = self.random.choice(["writeback", "writethrough", "unsafe"])
        with nbdtest.Server(["--format=qcow2", f"--cache={cache}", "--discard=unmap", IMAGE]) as s:
            h = nbd.NBD()
            h.connect_uri(s.uri)
            for _ in range(self.random.randrange(1, 40)):
                self.our_request(h)
            h.shutdown()

    def their_turn(self):
        command = ["qemu-io", "-f", "qcow2", "-d", "unmap"]
        for _ in range(self.random.randrange(1, 20)):
            offset, count = self.range()
            value = self.random.choice([0, 0, *range(1, 5)])
            how = f"-P {value}" if value else self.random.choice(["-z", "-z -u"])
            command += ["-c", f"write {how} {offset} {count}"]
            self.shadow[offset:offset + count] = bytes([value]) * count
        run(*command, IMAGE)

    def maybe_snapshot(self):
        """Takes, applies or deletes one: with either tool."""
        if "data_file" in self.kind or "refcount_bits=1" in self.kind:
            return
        tool = self.random.choice(["qemu-img", OUR_IMG])
        name = f"s{self.random.randrange(3)}"
        if self.random.random() < 0.6:
            return
        if name not in self.snapshots:
            if len(self.snapshots) < 2 or "refcount_bits=2" not in self.kind:
                run(tool, "snapshot", "-c", name, IMAGE)
                self.snapshots[name] = bytes(self.shadow)
        elif self.random.random() < 0.5:
            run(tool, "snapshot", "-a", name, IMAGE)
            self.shadow = bytearray(self.snapshots[name])
        else:
            run(tool, "snapshot", "-d", name, IMAGE)
            del self.snapshots[name]
        self.check()


first = int(os.environ.get("SEED", "1"))
for seed in range(first, first + int(os.environ.get("IMAGES", "15"))):
    image = Image(seed)
    print(f"seed {seed}: {image.kind}, backing file: {image.backing}", flush=True)
    for _ in range(int(os.environ.get("ROUNDS", "5"))):
        if image.random.random() < 0.6:
            image.our_turn()
        else:
            image.their_turn()
        image.check()
        image.maybe_snapshot()
