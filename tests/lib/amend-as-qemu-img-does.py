#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options change in place, there and back again, and nothing of the content does, nor of any
snapshot; what qemu-img refuses is refused in its words, and changes nothing."""
import os
import random
import struct
import sys

from imagetest import Folders, TOOL, clean, image_json, info, must, run

IMAGES = [
    ("", False), ("", True), ("cluster_size=512", True), ("cluster_size=4k,refcount_bits=8", True),
    ("cluster_size=2M", False), ("compat=0.10", True), ("compat=0.10,cluster_size=1k", False),
    ("refcount_bits=64", True),
]
STEPS = [
    ["compat=0.10", "refcount_bits=16"], ["compat=1.1"], ["refcount_bits=2"], ["refcount_bits=64"],
    ["refcount_bits=4", "lazy_refcounts=on"], ["lazy_refcounts=off"], ["refcount_bits=32"],
    ["compat=v2", "refcount_bits=16"], ["compat=v3", "refcount_bits=8", "lazy_refcounts=on"],
    ["lazy_refcounts=off"], ["compat=0.10", "refcount_bits=16"], ["refcount_bits=16"],
]
REFUSED = [
    ("", ["backing_file=b"]), ("", ["backing_fmt=raw"]), ("", ["cluster_size=4k"]), ("", ["foo=1"]),
    ("", ["compression_type=zstd"]), ("", ["preallocation=full"]), ("", ["encryption=on"]),
    ("", ["encrypt.state=active"]), ("", ["encrypt.format=luks"]), ("", ["compat=foo"]),
    ("", ["refcount_bits=3"]), ("", ["refcount_bits=0"]), ("", ["refcount_bits=128"]),
    ("", ["refcount_bits=x"]), ("", ["compat=0.10", "refcount_bits=8"]), ("", ["size=1000"]),
    ("refcount_bits=8", ["compat=0.10"]), ("compat=0.10", ["refcount_bits=8"]),
    ("compat=0.10", ["lazy_refcounts=on"]), ("", ["data_file=d"]), ("", ["data_file_raw=on"]),
    ("extended_l2=on", ["compat=0.10"]), ("data_file=d", ["compat=0.10"]),
    ("data_file=d", ["data_file_raw=on"]),
]
DONE = [
    ("", ["size=2M"]), ("", ["size=0"]), ("", ["size=512k"]), ("", ["data_file_raw=off"]),
    ("data_file=d,data_file_raw=on", ["data_file_raw=off"]), ("", ["lazy_refcounts=on"]),
    ("lazy_refcounts=on", ["compat=0.10"]), ("extended_l2=on", ["refcount_bits=1"]),
    ("compat=0.10", ["compat=1.1", "refcount_bits=1", "lazy_refcounts=on", "size=3M"]),
]
SIZE = 3 << 20
SNAPSHOTS = 2


def content(folder, snapshots):
    seen = []
    for args in [[]] + [["-l", f"snapshot.name=s{i}"] for i in range(snapshots)]:
        must(folder, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", *args, "i", "raw")
        with open(os.path.join(folder, "raw"), "rb") as file:
            seen.append(file.read())
    return seen


def scribble(folder, rnd):
    """Data, zeroes with and without a place, compressed clusters, discards."""
    commands = []
    for _ in range(12):
        offset, length = rnd.randrange(0, SIZE // 4096) * 4096, rnd.choice([4096, 65536, 262144])
        length = min(length, SIZE - offset)
        kind = rnd.choice(["write -P 11", "write -P 22", "write -z", "write -z -u", "discard"])
        commands += ["-c", f"{kind} {offset} {length}"]
    must(folder, "qemu-io", *commands, "i")
    run(folder, "qemu-io", "-c", f"write -c -P 33 {rnd.randrange(0, SIZE >> 16) << 16} 64k", "i")


def make(folder, options, backing, rnd):
    args = ["-b", "base", "-F", "raw"] if backing else []
    args += ["-o", options] if options else []
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", *args, "i", str(SIZE))
    for i in range(SNAPSHOTS):
        scribble(folder, rnd)
        must(folder, "qemu-img", "snapshot", "-c", f"s{i}", "i")
    scribble(folder, rnd)
    return content(folder, SNAPSHOTS)


def said(folder, step):
    data = info(folder, "i")["format-specific"]["data"]
    for option in step:
        name, value = option.split("=")
        now = {"compat": data["compat"], "refcount_bits": data["refcount-bits"],
               "lazy_refcounts": data.get("lazy-refcounts", False)}[name]
        value = {"v2": "0.10", "v3": "1.1", "on": True, "off": False}.get(value, value)
        if str(now) != str(value):
            sys.exit(f"{option}: info says {now}")


def round_trip(folder, options, backing, seed):
    rnd = random.Random(seed)
    before = make(folder, options, backing, rnd)
    for step in STEPS:
        status, text = run(folder, TOOL, "amend", "qcow2", "i", "0", *step)
        clean(folder, "i")
        if status and "Cannot decrease" in text and "cluster_size" in options:
            continue   # many pieces of compressed data in one small cluster
        if status:
            sys.exit(f"{options} {step}: {text}")
        said(folder, step)
        if content(folder, SNAPSHOTS) != before:
            sys.exit(f"{options} {step}: the content has changed")
    # And it still works, there and here: another snapshot, more data, all snapshots deleted.
    must(folder, "qemu-img", "snapshot", "-c", "more", "i")
    scribble(folder, rnd)
    for name in ["more"] + [f"s{i}" for i in range(SNAPSHOTS)]:
        must(folder, "qemu-img", "snapshot", "-d", name, "i")
    clean(folder, "i")
    if image_json(folder, "check", "i").get("leaks"):
        sys.exit(f"{options}: leaks")


def both(folders, options, amendment):
    results = []
    for folder in folders.ours, folders.theirs:
        for name in os.listdir(folder):
            if name != "base":
                os.remove(os.path.join(folder, name))
        must(folder, "qemu-img", "create", "-q", "-f", "qcow2", *(["-o", options] if options else []),
             "i", "1M")
    results.append(run(folders.ours, TOOL, "amend", "qcow2", "i", "0", *amendment))
    status, text = run(folders.theirs, "qemu-img", "amend", "-f", "qcow2", "-o",
                       ",".join(amendment), "i")
    results.append((status, text.replace("qemu-img: ", "")))
    clean(folders.ours, "i")
    if results[0] != results[1] or info(folders.ours, "i") != info(folders.theirs, "i"):
        sys.exit(f"{options} {amendment}: ours {results[0]}, theirs {results[1]}, "
                 f"{info(folders.ours, 'i')}, {info(folders.theirs, 'i')}")
    return results[0][0]


def too_narrow(folder):
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "i", "1M")
    must(folder, "qemu-io", "-c", "write 0 64k", "i")
    for name in "a", "b":
        must(folder, "qemu-img", "snapshot", "-c", name, "i")
    with open(os.path.join(folder, "i"), "rb") as file:
        before = file.read()
    status, text = run(folder, TOOL, "amend", "qcow2", "i", "0", "refcount_bits=1")
    theirs = run(folder, "qemu-img", "amend", "-o", "refcount_bits=1", "i")[1]
    if status != 1 or "qemu-img: " + text != theirs:
        sys.exit(f"too narrow: {text} {theirs}")
    must(folder, TOOL, "amend", "qcow2", "i", "0", "refcount_bits=2")
    with open(os.path.join(folder, "i"), "rb") as file:
        if file.read(16) != before[:16]:
            sys.exit("another header than expected")
    clean(folder, "i")


def short_entries(folder):
    """Snapshots of old programs say nothing of the disk's size; version 3 requires it."""
    before = make(folder, "compat=0.10", False, random.Random(77))
    path = os.path.join(folder, "i")
    with open(path, "r+b") as file:
        count, table = struct.unpack(">IQ", file.read(72)[60:72])
        file.seek(table)
        old, entries = file.read(4096), b""
        pos = 0
        for _ in range(count):
            id_len, name_len = struct.unpack(">HH", old[pos + 12:pos + 16])
            extra, = struct.unpack(">I", old[pos + 36:pos + 40])
            texts = old[pos + 40 + extra:pos + 40 + extra + id_len + name_len]
            entry = old[pos:pos + 36] + struct.pack(">I", 0) + texts
            entries += entry + bytes(-len(entry) % 8)
            pos += (40 + extra + id_len + name_len + 7) // 8 * 8
        file.seek(table)
        file.write(entries.ljust(pos, b"\0"))
    must(folder, TOOL, "amend", "qcow2", "i", "0", "compat=1.1")
    clean(folder, "i")
    if content(folder, SNAPSHOTS) != before:
        sys.exit("the content of snapshots with short entries has changed")


def bitmaps(folder):
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "i", "1M")
    must(folder, "qemu-img", "bitmap", "--add", "i", "b")
    status, text = run(folder, TOOL, "amend", "qcow2", "i", "0", "compat=0.10")
    if status != 1 or "persistent bitmaps" not in text or \
            "bitmaps" not in info(folder, "i")["format-specific"]["data"]:
        sys.exit(f"bitmaps: {status} {text}")
    must(folder, TOOL, "amend", "qcow2", "i", "0", "refcount_bits=64")
    clean(folder, "i")
    if info(folder, "i")["format-specific"]["data"]["bitmaps"][0]["name"] != "b":
        sys.exit("the bitmap is gone")


def progress(folder):
    os.environ["PROGRESS"] = "1"
    must(folder, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", "i", "1M")
    lines = must(folder, TOOL, "amend", "qcow2", "i", "0", "compat=1.1", "refcount_bits=8")
    done = [int(line.split()[1]) / int(line.split()[2]) for line in lines.splitlines()]
    if done != sorted(done) or done[-1] != 1 or len(done) < 3:
        sys.exit(f"progress: {lines}")
    del os.environ["PROGRESS"]


with Folders() as pair:
    with open(os.path.join(pair.ours, "base"), "wb") as base:
        base.write(bytes(range(256)) * (SIZE // 256))
    for number, (image_options, with_backing) in enumerate(IMAGES):
        round_trip(pair.ours, image_options, with_backing, number)
    for image_options, what in REFUSED:
        if not both(pair, image_options, what):
            sys.exit(f"{image_options} {what} was done")
    for image_options, what in DONE:
        if both(pair, image_options, what):
            sys.exit(f"{image_options} {what} was refused")
    too_narrow(pair.ours)
    short_entries(pair.ours)
    bitmaps(pair.ours)
    progress(pair.ours)
