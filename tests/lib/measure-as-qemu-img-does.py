#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an image would take: the numbers of qemu-img, and its words for what it refuses."""
import sys

from imagetest import Folders, TOOL, must, run

OPTIONS = [
    "", "cluster_size=512", "cluster_size=2M", "cluster_size=4k,refcount_bits=1",
    "refcount_bits=64,cluster_size=512", "compat=0.10", "extended_l2=on", "preallocation=metadata",
    "extended_l2=on,cluster_size=16k", "preallocation=full", "preallocation=falloc",
    "backing_file=x", "backing_file=x,preallocation=full", "data_file=d", "lazy_refcounts=on",
    "compression_type=zstd",
]
SIZES = [0, 1, 512, 1000, 65536, 65537, 1 << 20, (1 << 30) + 512, 100 << 30, 128 << 30, 1 << 42]
BAD = [
    "cluster_size=3", "cluster_size=abc", "compat=foo", "refcount_bits=3", "preallocation=foo",
    "compat=0.10,refcount_bits=1", "extended_l2=on,cluster_size=4k", "extended_l2=maybe",
]


def compare(folder, fmt, options, theirs_args, ours_args):
    words = [word for word in options.split(",") if word]
    ours = run(folder, TOOL, "measure", fmt, *ours_args, *words)
    theirs = run(folder, "qemu-img", "measure", "-O", fmt, *(["-o", options] if options else []),
                 *theirs_args)
    theirs = theirs[0], theirs[1].replace("qemu-img: ", "").replace(
        f"Invalid options for file format '{fmt}'\n", "")
    if ours != theirs:
        sys.exit(f"{fmt} {options} {theirs_args}: ours {ours}, theirs {theirs}")


def make_sources(folder):
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "base", "5M")
    must(folder, "qemu-io", "-c", "write 0 128k", "-c", "write 3M 64k", "base")
    for name, options in ("plain", "cluster_size=4k"), ("old", "compat=0.10"):
        must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "-b", "base",
             "-F", "qcow2", name, "10M")
        must(folder, "qemu-io", "-c", "write 1M 256k", "-c", "write -z 3M 32k",
             "-c", "write -c 5M 64k", "-c", "discard 64k 64k", name)
        must(folder, "qemu-img", "snapshot", "-c", "s", name)
    must(folder, "qemu-img", "convert", "-O", "raw", "plain", "disk")
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "marked", "10G")
    must(folder, "qemu-img", "bitmap", "--add", "marked", "first")
    must(folder, "qemu-img", "bitmap", "--add", "-g", "4k", "marked", "the-second")


with Folders() as pair:
    for words_ in OPTIONS:
        for size in SIZES:
            compare(pair.ours, "qcow2", words_, ["--size", str(size)], ["-", "raw", f"size={size}"])
    for words_ in BAD:
        compare(pair.ours, "qcow2", words_, ["--size", "1M"], ["-", "raw", "size=1M"])
    for size in 0, 1000, 1 << 40:
        compare(pair.ours, "raw", "", ["--size", str(size)], ["-", "raw", f"size={size}"])
    make_sources(pair.ours)
    for name_, fmt_ in ("plain", "qcow2"), ("old", "qcow2"), ("marked", "qcow2"), ("disk", "raw"):
        compare(pair.ours, "raw", "", ["-f", fmt_, name_], [name_, fmt_])
        for words_ in OPTIONS:
            compare(pair.ours, "qcow2", words_, ["-f", fmt_, name_], [name_, fmt_])
