# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be done to an image with the tools, chosen at random: commands, and what they change in
the shadow.  Each action is a function that returns a Step, or None where it does not apply."""

import json
import os

from shadowedimage import BASE_FORMATS, KINDS, SECTOR, Bitmap
from twotools import Failure


class Step:
    """Commands that one of the two does.  `effect` is what changes where all of them succeed.

    Where the tools may refuse, nothing has changed then.  `ours_only`: qemu-img 7.2 damages the
    image by it.  Not `alike`: ours does what theirs may refuse."""

    def __init__(self, *commands, effect=None, may_refuse=False, ours_only=False, alike=True):
        self.commands = commands
        self.effect = effect or (lambda: None)
        self.may_refuse = may_refuse
        self.ours_only = ours_only
        self.alike = alike

    def happened(self, done, tools):
        """After the commands: whether they did as they may."""
        failed = [d for d in done if d.status]
        if not failed:
            self.effect()
        elif not self.may_refuse:
            raise Failure("\n".join(d.output for d in failed))


class Requests(Step):
    """One qemu-io with several commands: [(command, effect or None, may it fail)]."""

    def __init__(self, words, requests, alike=True):
        commands = [w for command, *_ in requests for w in ("-c", command)]
        super().__init__(("qemu-io", *words, *commands), alike=alike)
        self.requests = requests

    def happened(self, done, tools):
        lines = [line for line in done[0].output.splitlines()
                 if line.startswith(("wrote ", "discard ", "read ")) or " failed: " in line
                 or "verification failed" in line]
        if any("verification" in line for line in lines) or len(lines) != len(self.requests):
            raise Failure(done[0].output)
        for line, (_, effect, may_fail) in zip(lines, self.requests):
            if " failed: " not in line:
                effect()
            elif not may_fail(tools):
                raise Failure(done[0].output)


def spelled(image):
    """The image as an argument, in one of the ways."""
    how = image.random.random()
    if how < .6:
        return ["-f", "qcow2", image.name]
    if how < .75:
        return [image.name]
    if how < .9:
        return ["--image-opts", f"driver=qcow2,file.filename={image.name}"]
    file = {"driver": "file", "filename": image.name}
    return ["json:" + json.dumps({"driver": "qcow2", "file": file})]


# Requests.

def never(_):
    return False


def some_range(image, unit=None):
    """From a few bytes to the whole disk, sometimes on edges."""
    r = image.random
    if not unit and r.random() < .1:
        return 0, image.size
    if unit or r.random() < .5:
        unit = unit or r.choice([SECTOR, 4096, 65536])
        offset = r.randrange(-(-image.size // unit)) * unit
        count = r.randrange(1, 20) * unit
    else:
        offset = r.randrange(image.size)
        count = r.randrange(1, r.choice([2000, 100000, 1000000]))
    return offset, min(count, image.size - offset)


def request(image):
    r = image.random
    what = r.choice("wwwwwzzudr")
    offset, count = some_range(image, SECTOR if what == "d" else None)
    if what == "d":
        return f"discard {offset} {count}", lambda: image.discarded(offset, count), never
    if what == "r":
        offset = min(offset, image.size - 1)
        value = image.shadow[offset]
        same = image.shadow[offset:offset + count]
        count -= len(same.lstrip(same[:1]))
        return f"read -P {value} {offset} {count}", lambda: None, never
    value = r.randrange(1, 256) if what == "w" else 0
    how = {"w": f"-P {value}", "z": "-z", "u": "-z -u"}[what] + r.choice(["", "", "", " -f"])
    return (f"write {how} {offset} {count}", lambda: image.wrote(offset, count, value), never)


def io_words(image):
    r = image.random
    words = r.choice([[], ["-t", "writeback"], ["-t", "writethrough"], ["-t", "unsafe"]])
    if r.random() < .7:
        return [*words, "-f", "qcow2", "-d", "unmap", image.name]
    extra = r.choice(["lazy-refcounts=on", "overlap-check=all", "l2-cache-size=64k,cache-size=128k",
                      "l2-cache-entry-size=4096", "pass-discard-request=on", "lazy-refcounts=off"])
    if image.version == 2 and "lazy" in extra:
        extra = "overlap-check=constant"
    if image.cluster < 4096 and "entry" in extra:
        extra = "l2-cache-entry-size=512"
    return [*words, "--image-opts",
            f"driver=qcow2,discard=unmap,{extra},file.filename={image.name}"]


def write(image):
    """Several at once, up to a discard, of which only the image says what it left; or one read,
    as the shadow says what is there before all of them."""
    requests = []
    for _ in range(image.random.randrange(1, 12)):
        requests.append(request(image))
        if requests[-1][0].startswith("discard"):
            break
        if requests[-1][0].startswith("read"):
            requests = requests[-1:]
            break
    return Requests(io_words(image), requests)


def write_compressed(image):
    """Whole clusters; qemu-io refuses to write over one that is there."""
    requests = []
    has_data_file = image.has_data_file

    def may_fail(tools):
        return has_data_file or tools is image.qemu
    for _ in range(image.random.randrange(1, 16)):
        offset = image.random.randrange(-(-image.size // image.cluster)) * image.cluster
        count = min(image.cluster, image.size - offset)
        value = image.random.randrange(256)
        requests.append((f"write -c -P {value} {offset} {count}",
                         lambda o=offset, c=count, v=value: image.wrote(o, c, v), may_fail))
    return Requests(["-f", "qcow2", image.name], requests, alike=False)


# Snapshots.

def snapshot_create(image):
    if len(image.snapshots) > 2:
        return None
    name = image.new_name("s")

    def effect():
        image.snapshots[name] = bytes(image.shadow)
    return Step(("qemu-img", "snapshot", "-c", name, image.name), effect=effect, may_refuse=True,
                ours_only=image.data["refcount-bits"] < 16)


def snapshot_apply(image):
    if not image.snapshots:
        return None
    name = image.random.choice(list(image.snapshots))

    def effect():
        image.shadow = bytearray(image.snapshots[name])
        for bitmap in image.bitmaps.values():
            bitmap.dirty = []   # it does not follow
    return Step(("qemu-img", "snapshot", "-a", name, image.name), effect=effect,
                may_refuse=bool(image.bitmaps))


def snapshot_delete(image):
    if not image.snapshots:
        return None
    name = image.random.choice(list(image.snapshots))
    return Step(("qemu-img", "snapshot", "-d", name, image.name),
                effect=lambda: image.snapshots.pop(name))


# Size and kind.

def resize(image):
    r = image.random
    unit = r.choice([SECTOR, 65536, image.cluster])
    size = max(unit, (image.size + r.randrange(-(1 << 20), 1 << 20)) // unit * unit)
    words = ["--shrink"] if size < image.size else []
    mode = r.choice([None, None, "off", "metadata", "falloc", "full"])
    if mode and size > image.size:
        words.append("--preallocation=" + mode)
    # What qemu-img does not clear: the rest of the last cluster, clusters that were in use before.
    stale = size % image.cluster or image.size % image.cluster or mode not in (None, "off")
    lost = mode and image.data.get("extended-l2")
    return Step(("qemu-img", "resize", "-f", "qcow2", *words, image.name, size),
                effect=lambda: image.resized(size), may_refuse=True,
                ours_only=bool(stale or lost or (image.chain and image.version == 2)))


def amend(image):
    r = image.random
    what = r.choice(["compat=1.1", "compat=0.10", "lazy_refcounts=on", "lazy_refcounts=off",
                     "refcount_bits=16", f"refcount_bits={1 << r.randrange(7)}"])
    if what == "compat=0.10" and (image.bitmaps or image.snapshots):
        return None
    # For each refcount of a large block qemu-img goes through the image: that takes a minute.
    endless = "refcount" in what and image.cluster > 65536
    return Step(("qemu-img", "amend", "-f", "qcow2", "-o", what, image.name), may_refuse=True,
                ours_only=endless)


def repair(image):
    how = image.random.choice(["leaks", "all"])
    return Step(("qemu-img", "check", "-q", "-r", how, *spelled(image)),
                ours_only=bool(image.bitmaps))


# Bitmaps.

def bitmap_add(image):
    if len(image.bitmaps) > 3:
        return None
    name = image.new_name("b")
    words = image.random.choice([[], ["-g", "4k"], ["-g", "512"], ["-g", "1M"]])
    enabled = image.random.random() < .8

    def effect():
        image.bitmaps[name] = Bitmap(enabled)
    return Step(("qemu-img", "bitmap", "-f", "qcow2", "--add", *words,
                 *([] if enabled else ["--disable"]), image.name, name),
                effect=effect, may_refuse=image.version == 2)


def bitmap_change(image):
    if not image.bitmaps:
        return None
    r = image.random
    name, source = r.choice(list(image.bitmaps)), r.choice(list(image.bitmaps))
    what = r.choice(["--remove", "--clear", "--enable", "--disable", "--merge"])

    def effect():
        bitmap = image.bitmaps[name]
        if what == "--remove":
            del image.bitmaps[name]
        elif what == "--clear":
            bitmap.dirty = []
        elif what == "--merge":
            bitmap.dirty = bitmap.dirty + image.bitmaps[source].dirty
        else:
            bitmap.enabled = what == "--enable"
    words = [what, source] if what == "--merge" else [what]
    return Step(("qemu-img", "bitmap", "-f", "qcow2", *words, image.name, name), effect=effect)


# Backing files.

def no_rebase(image):
    """A snapshot would show another backing file's content."""
    return image.snapshots or image.has_data_file and image.data.get("data-file-raw")


def rebase(image):
    """Onto another base, which is copied from; or onto none."""
    if no_rebase(image):
        return None
    r = image.random
    if image.chain and r.random() < .3:
        base, words = None, ["-b", ""]
    else:
        chain, image.chain = image.chain, []
        base = image.make_base(r.choice(BASE_FORMATS), image.size)
        image.chain = chain
        words = image.backing_words(base)

    def effect():
        image.chain = [base] if base else []
    return Step(("qemu-img", "rebase", "-f", "qcow2", *words, image.name), effect=effect,
                ours_only=image.version == 2)


def rebase_unsafe(image):
    """Onto a copy of the nearest backing file, in another format perhaps."""
    if not image.chain or no_rebase(image):
        return None
    name, fmt = image.chain[0]
    copy = (image.new_name("base"), image.random.choice(["raw", "qcow2"]))

    def effect():
        image.chain = [copy]
    return Step(("qemu-img", "convert", "-f", fmt, "-O", copy[1], name, copy[0]),
                ("qemu-img", "rebase", "-u", "-f", "qcow2", *image.backing_words(copy), image.name),
                effect=effect)


def commit(image):
    """Into the nearest backing file, or into one further down."""
    if not image.chain or image.snapshots or image.chain[0][1] not in ("raw", "qcow2"):
        return None
    words = ["-d"] if image.random.random() < .4 else []
    low = image.chain[-1]
    if len(image.chain) > 1 and low[1] in ("raw", "qcow2") and image.random.random() < .5:
        words = ["-b", low[0]]
    # Ours finds a base by its plain name also where the overlay names it as json:.
    return Step(("qemu-img", "commit", "-q", "-f", "qcow2", *words, image.name), may_refuse=True,
                alike="-b" not in words)


# Copies.

def convert(image):
    """To an image of another kind, which takes its place."""
    r = image.random
    new, kind = image.new_name("image"), r.choice(KINDS)
    words = ["-o", kind.replace("DATA", new + ".data")]
    keeps = image.chain and image.may_have_backing(kind) and r.random() < .5
    if keeps:
        words += ["-B", image.chain[0][0], "-F", image.chain[0][1]]
    if "DATA" not in kind and "prealloc" not in kind and r.random() < .3:
        words.append("-c")
    words += r.choice([[], ["-m", "4", "-W"], ["-S", "64k"], ["-S", "0"], ["-t", "writeback"]])
    snapshot, cut = None, False
    if image.snapshots and not keeps and r.random() < .3:
        snapshot = r.choice(list(image.snapshots))
        words += ["-l", snapshot]
        cut = len(image.snapshots[snapshot]) != image.size
    bitmaps = image.bitmaps and not snapshot and "compat=0.10" not in kind and r.random() < .5
    words += ["--bitmaps"] if bitmaps else []

    def effect():
        image.shadow = bytearray(image.snapshots[snapshot]) if snapshot else image.shadow
        image.snapshots = {}
        image.bitmaps = image.bitmaps if bitmaps else {}
        image.chain = image.chain if keeps else []
        image.replaced(new)
    return Step(("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", *words, image.name, new),
                effect=effect, ours_only=cut)


def dd(image):
    """A part of it, which is compared with the shadow."""
    r = image.random
    block = r.choice([SECTOR, 4096, 65536, 1 << 20])
    blocks = -(-image.size // block)
    skip, count = r.randrange(blocks), r.randrange(1, blocks + 1)
    path = image.path("part")
    if os.path.exists(path):
        os.unlink(path)

    def effect():
        want = image.shadow[:count * block][skip * block:]
        with open(path, "rb") as f:
            have = f.read()
        if have[:len(want)] != want or any(have[len(want):]):
            raise Failure(f"dd: {len(have)} bytes, not the {len(want)} of the image")
    return Step(("qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"bs={block}", f"skip={skip}",
                 f"count={count}", f"if={image.name}", "of=part"), effect=effect)


# How often, compared with the others.
ACTIONS = [
    (write, 12), (write_compressed, 4), (snapshot_create, 3), (snapshot_apply, 2),
    (snapshot_delete, 1), (resize, 4), (amend, 2), (repair, 1), (bitmap_add, 2),
    (bitmap_change, 3), (rebase, 2), (rebase_unsafe, 1), (commit, 2), (convert, 3), (dd, 1),
]


def choose(image):
    """Something that applies to it."""
    while True:
        step = image.random.choices([a for a, _ in ACTIONS], [w for _, w in ACTIONS])[0]
        chosen = step(image)
        if chosen:
            return step.__name__, chosen


# What both tools are asked after a step.

def questions(image):
    r = image.random
    kind = r.choice([k for k in KINDS if "DATA" not in k])
    asked = [
        ["info", "--output=json", *spelled(image)],
        ["info", "--backing-chain", *spelled(image)],
        ["map", "--output=json", *spelled(image)],
        ["map", *spelled(image)],
        ["measure", "-O", "qcow2", "-o", kind, *spelled(image)],
        ["measure", "--output=json", "-O", "raw", *spelled(image)],
        ["check", "--output=json", *spelled(image)],
        ["compare", "-f", "qcow2", "-F", "raw", image.name, "raw.qemu"],
        ["compare", "-s", "-f", "qcow2", "-F", "raw", image.name, "raw.ours"],
        ["snapshot", "-l", image.name],
    ]
    return r.sample(asked, 2)
