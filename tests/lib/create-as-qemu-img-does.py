#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""New images are what qemu-img makes of the same options; what it refuses, we refuse, in its words."""
import os
import sys

from imagetest import Folders, O_NO_BACKING, TOOL, clean, disk_map, image_json, info, must, run

GOOD = [
    "", "cluster_size=512", "cluster_size=2M", "cluster_size=4k,refcount_bits=1",
    "compat=0.10", "compat=v2", "compat=v3", "compat=1.1,lazy_refcounts=on",
    "refcount_bits=1", "refcount_bits=2", "refcount_bits=4", "refcount_bits=8",
    "refcount_bits=32", "refcount_bits=64", "extended_l2=on", "extended_l2=on,cluster_size=16k",
    "compression_type=zstd", "data_file=d", "data_file=d,data_file_raw=on",
    "data_file=d,data_file_raw=on,extended_l2=on", "data_file=d,preallocation=metadata",
    "data_file=d,preallocation=full", "data_file=d,preallocation=falloc",
    "preallocation=off", "preallocation=metadata", "preallocation=falloc", "preallocation=full",
    "preallocation=metadata,cluster_size=512", "preallocation=metadata,extended_l2=on",
    "preallocation=metadata,refcount_bits=64,cluster_size=1k",
    "preallocation=metadata,refcount_bits=1", "preallocation=full,compat=0.10",
    "nocow=on", "nocow=off,lazy_refcounts=off", "extent_size_hint=0", "extent_size_hint=2M",
    "encryption=off", "backing_file=base,backing_fmt=raw",
    "backing_file=base,backing_fmt=raw,extended_l2=on,preallocation=metadata",
    "backing_file=base,backing_fmt=raw,cluster_size=512,compat=0.10",
]
SIZES = [0, 512, 1000, 65536, 1 << 20, (3 << 20) + 512]
BIG = [
    ("cluster_size=512", 128 << 30), ("cluster_size=512", 129 << 30), ("", 1 << 50), ("", 7 << 60),
    ("cluster_size=2M", 2 << 60), ("cluster_size=2M", 3 << 60), ("cluster_size=1k", 1 << 40),
    ("preallocation=metadata", 5 << 30),
    ("preallocation=metadata,refcount_bits=64,cluster_size=4k", 1 << 30),
]
BAD = [
    "cluster_size=100k", "cluster_size=4M", "cluster_size=0", "cluster_size=256",
    "cluster_size=abc", "cluster_size=-1", "cluster_size=64kk", "compat=0.9", "compat=foo",
    "refcount_bits=3", "refcount_bits=128", "refcount_bits=0", "refcount_bits=foo",
    "compat=0.10,refcount_bits=8", "compat=0.10,lazy_refcounts=on", "lazy_refcounts=foo",
    "compat=0.10,extended_l2=on", "cluster_size=8k,extended_l2=on",
    "preallocation=foo", "compression_type=foo", "compat=0.10,compression_type=zstd", "foo=bar",
    "data_file_raw=on", "data_file=d,compat=0.10",
    "data_file=d,data_file_raw=on,backing_file=base,backing_fmt=raw",
    "backing_file=nothing", "backing_file=nothing,backing_fmt=raw", "backing_file=base",
    "backing_file=i,backing_fmt=raw", "backing_file=,backing_fmt=raw", "backing_fmt=raw",
    "backing_file=base,backing_fmt=raw,preallocation=metadata", "size=1M", "size=18E",
]
RAW = [
    ("", 1000), ("preallocation=off", 1 << 20), ("preallocation=full", 1 << 20),
    ("preallocation=falloc", 1 << 20), ("preallocation=metadata", 1 << 20),
    ("preallocation=foo", 1 << 20), ("backing_file=base", 1 << 20), ("nocow=on", 0),
    ("extent_size_hint=1k", 4096),
]

def put_base(folders):
    for folder in folders.ours, folders.theirs:
        os.truncate(os.open(os.path.join(folder, "base"), os.O_CREAT | os.O_WRONLY), 2 << 20)


def both(folders, fmt, name, options, size, flags=0):
    folders.clear()
    put_base(folders)
    words = [word for word in options.split(",") if word]
    ours = run(folders.ours, TOOL, "create", fmt, name, str(size), str(flags), *words)
    args = ["-o", options] if options else []
    args += ["-u"] if flags else []
    args += [name] + ([] if size == "-" else [str(size)])
    status, text = run(folders.theirs, "qemu-img", "create", "-f", fmt, *args)
    return ours, (status, text.replace(f"qemu-img: {name}: ", ""))


def alike(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: ours {ours}, theirs {theirs}")


def compare_qcow2(folders, options):
    clean(folders.ours, "i")
    alike(options, info(folders.ours, "i"), info(folders.theirs, "i"))
    checks = [image_json(folder, "check", "i") for folder in (folders.ours, folders.theirs)]
    for key in "total-clusters", "allocated-clusters":
        alike(options, checks[0].get(key), checks[1].get(key))
    # Whether it looks for holes below such an image, qemu-img decides by how full the file is.
    ignored = ("zero",) if "metadata" in options else ()
    alike(options, disk_map(folders.ours, "i", ignored), disk_map(folders.theirs, "i", ignored))
    alike(options, sorted(os.listdir(folders.ours)), sorted(os.listdir(folders.theirs)))


def compare_space(folders, options):
    """No more than qemu-img's takes, and as much if that was asked for."""
    ours, theirs = (sum(os.stat(os.path.join(folder, name)).st_blocks * 512
                        for name in os.listdir(folder))
                    for folder in (folders.ours, folders.theirs))
    wanted = "preallocation=f" in options
    if ours > theirs + 65536 and not (wanted and "data_file" in options):   # there qemu-img forgets it
        sys.exit(f"{options}: takes {ours} bytes, qemu-img's {theirs}")
    if wanted and ours < theirs - (1 << 20):
        sys.exit(f"{options}: takes {ours} bytes only, qemu-img's {theirs}")


def good(folders):
    for options in GOOD:
        for size in SIZES if "metadata" in options or not options else SIZES[3:]:
            ours, theirs = both(folders, "qcow2", "i", options, size)
            alike(options, ours, theirs)
            compare_qcow2(folders, options)
            compare_space(folders, options)
    ours, theirs = both(folders, "qcow2", "a,b", "", "-")
    alike("no size", ours, theirs)
    ours, theirs = both(folders, "qcow2", "i", "backing_file=base,backing_fmt=raw", "-")
    alike("size of the backing file", ours, theirs)
    compare_qcow2(folders, "size of the backing file")
    ours, theirs = both(folders, "qcow2", "i", "size=1.5M", "-")
    alike("fraction", ours, theirs)


def big(folders):
    for options, size in BIG:
        ours, theirs = both(folders, "qcow2", "i", options, size)
        alike((options, size), ours, theirs)
        if not ours[0]:
            alike(options, info(folders.ours, "i"), info(folders.theirs, "i"))


def bad(folders):
    for options in BAD:
        ours, theirs = both(folders, "qcow2", "i", options, 1 << 20)
        if "Detected" in theirs[1]:
            ours = ours[0], ours[1].rstrip("\n")
            theirs = theirs[0], theirs[1].rstrip("\n")
        alike(options, ours, theirs)
        if ours[0] != 1 or os.path.exists(os.path.join(folders.ours, "i")):
            sys.exit(f"{options}: {ours}, and the image {os.listdir(folders.ours)}")
    for options in "backing_file=x", "backing_file=x,backing_fmt=raw":
        for size in "-", 65536:
            alike(options, *both(folders, "qcow2", "i", options, size, O_NO_BACKING))
    alike("format", *both(folders, "bogus", "i", "", 512))
    alike("folder", *both(folders, "qcow2", "no/i", "", 512))
    alike("folder", *both(folders, "raw", "no/i", "", 512))


def raw(folders):
    for options, size in RAW:
        ours, theirs = both(folders, "raw", "i", options, size)
        alike(options, ours, theirs)
        if not ours[0]:
            alike(options, *(os.stat(os.path.join(folder, "i")).st_size
                             for folder in (folders.ours, folders.theirs)))
            compare_space(folders, options)


def old_content(folders):
    """It is lost if the options are good, and only then; a file that was there stays."""
    folders.clear()
    path = os.path.join(folders.ours, "i")
    with open(path, "wb") as file:
        file.write(b"precious" * 1000000)
    for options in ["cluster_size=3"], ["encrypt.format=luks"], ["data_file=i"], ["foo=1"]:
        if not run(folders.ours, TOOL, "create", "qcow2", "i", "65536", "0", *options)[0]:
            sys.exit(f"{options}: made an image")
        with open(path, "rb") as file:
            alike(options, file.read(), b"precious" * 1000000)
    status, text = run(folders.ours, TOOL, "create", "qcow2", "i", "65536", "0", "data_file=no/d")
    alike("data file in no folder", (status, os.path.exists(path)), (1, True))
    run(folders.ours, TOOL, "create", "qcow2", "new", "65536", "0", "data_file=no/d")
    alike("new image without its data file", os.path.exists(os.path.join(folders.ours, "new")),
          False)
    must(folders.ours, TOOL, "create", "qcow2", "i", "65536", "0")
    if os.path.getsize(path) > 1 << 20 or "precious" in text:
        sys.exit("old content is left behind the new image")


with Folders() as pair:
    good(pair)
    big(pair)
    bad(pair)
    raw(pair)
    old_content(pair)
