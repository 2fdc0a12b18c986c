#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images grow with preallocation: all of the new part has a place and reads as zeroes, whatever was
there before; what the old last cluster held is still there."""
import os
import sys

from imagetest import Folders, TOOL, clean, disk_map, must, run

OPTIONS = [
    "", "cluster_size=512", "compat=0.10", "extended_l2=on", "refcount_bits=64,cluster_size=4k",
    "data_file=d", "data_file=d,data_file_raw=on", "extended_l2=on,data_file=d",
]
MODES = ["off", "metadata", "falloc", "full"]
OLD, NEW = (1 << 20) + 512 * 3, (3 << 20) + 512 * 7


def fail(*what):
    sys.exit(" ".join(map(str, what)))


def raw_content(folder, name, fmt="qcow2"):
    must(folder, "qemu-img", "convert", "-U", "-f", fmt, "-O", "raw", name, "raw")
    with open(os.path.join(folder, "raw"), "rb") as file:
        return file.read()


def make(folder, options, backing):
    if os.path.exists(os.path.join(folder, "i")):
        os.remove(os.path.join(folder, "i"))
    args = ["-b", "base", "-F", "raw"] if backing else []
    args += ["-o", options] if options else []
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", *args, "i", str(OLD))
    # The last cluster is compressed if it can be.
    last = OLD // 65536 * 65536
    must(folder, "qemu-io", "-c", f"write -P 7 0 {last}", "-c",
         f"write {'-c' if 'data_file' not in options else ''} -P 9 {last} {OLD - last}", "i")
    return raw_content(folder, "i")


def check(folder, options, mode, before):
    clean(folder, "i")
    after = raw_content(folder, "i")
    if after != before + bytes(NEW - OLD):
        first = next(i for i in range(len(after)) if after[i:i + 1] != (before + bytes(NEW))[i:i + 1])
        fail(options, mode, "content differs at", first)
    placed = mode != "off" or "data_file_raw" in options
    for start, end, (data, present) in disk_map(folder, "i", ("zero", "depth")):
        if start >= OLD and placed and "extended_l2" not in options and not (data and present):
            fail(options, mode, "no place for", start, end)
    if mode in ("falloc", "full"):
        name = "d" if "data_file" in options else "i"
        if os.stat(os.path.join(folder, name)).st_blocks * 512 < NEW - OLD:
            fail(options, mode, "takes no space")


def grow(folder, options, mode, backing):
    before = make(folder, options, backing)
    must(folder, TOOL, "resize", "qcow2", "i", str(NEW), mode)
    check(folder, options, mode, before)
    # Smaller, and larger again: what was cut off does not come back, in reused places either.
    must(folder, "qemu-io", "-c", f"write -P 5 {OLD} {NEW - OLD}", "i")
    must(folder, TOOL, "resize", "qcow2", "i", str(OLD), "off")
    must(folder, TOOL, "resize", "qcow2", "i", str(NEW), mode)
    check(folder, options, mode, before)


def refusals(folder):
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "i", "1M")
    must(folder, "qemu-img", "create", "-q", "-f", "raw", "r", "1M")
    for fmt, name, size, mode, text in (
            ("qcow2", "i", 4096, "falloc", "Preallocation can't be used for shrinking an image"),
            ("raw", "r", 4096, "full", "Preallocation can't be used for shrinking files"),
            ("raw", "r", 2 << 20, "metadata", "Unsupported preallocation mode 'metadata'")):
        status, said = run(folder, TOOL, "resize", fmt, name, str(size), mode)
        if status != 1 or text not in said:
            fail(fmt, mode, status, said)
    for mode in "falloc", "full":
        must(folder, TOOL, "resize", "raw", "r", str(2 << 20), mode)
        must(folder, TOOL, "resize", "raw", "r", "0", "off")


with Folders() as pair:
    with open(os.path.join(pair.ours, "base"), "wb") as base:
        base.write(b"\3" * (4 << 20))
    for options_ in OPTIONS:
        for mode_ in MODES:
            grow(pair.ours, options_, mode_, False)
            if "raw" not in options_:
                grow(pair.ours, options_, mode_, True)
    refusals(pair.ours)
