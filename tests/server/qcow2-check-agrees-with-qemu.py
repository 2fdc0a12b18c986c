# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damage of each kind is found in qemu-img's words and numbers, and mended as far as it can be.

$KINDS: which of the kinds of images, separated by commas, or "all"."""

import os
import shutil

from qcow2damage import Image, content, make, our_check, qemu_check, nbdtest

IMAGE, SAVED, COPY, RAW, RAW2 = (nbdtest.path(n) for n in ("image", "saved", "copy", "raw", "raw2"))
COPIED = 1 << 63

KINDS = {
    "v2": dict(kind="compat=0.10"),
    "v3": dict(kind="compat=1.1"),
    "small": dict(kind="cluster_size=512", size="4M"),
    "bit": dict(kind="cluster_size=4k,refcount_bits=1"),
    "wide": dict(kind="refcount_bits=64", compressed=True),
    "extended": dict(kind="extended_l2=on,cluster_size=16k"),
    "snapshots": dict(kind="cluster_size=4k", snapshots=2),
    "compressed": dict(kind="cluster_size=64k", compressed=True, snapshots=1),
    "bitmap": dict(kind="cluster_size=4k", bitmap=True),
    "bitmap and snapshots": dict(kind="cluster_size=64k", bitmap=True, snapshots=1),
    "lazy": dict(kind="lazy_refcounts=on"),
}


WANTED = os.environ.get("KINDS", "extended,bitmap and snapshots").split(",")


def leak(i):
    end = (os.path.getsize(i.name) + i.cluster - 1) // i.cluster * i.cluster
    os.truncate(i.name, end + i.cluster)
    i.set_count(end, 1)


def many_leaks(i):
    for k in range(5):
        leak(i)


def count_too_low(i):
    i.set_count(i.host(1), 0)


def count_of_table_too_low(i):
    i.set_count(i.l2(), 0)


def count_too_high(i):
    if i.order:
        i.set_count(i.host(1), 3)


def copied_missing(i):
    i.put(i.entry(2), ">Q", i.get(i.entry(2), ">Q") & ~COPIED)


def copied_missing_in_l1(i):
    i.put(i.l1, ">Q", i.get(i.l1, ">Q") & ~COPIED)


def two_use_one(i):
    i.put(i.entry(3), ">Q", i.get(i.entry(1), ">Q"))


def entry_beyond_end(i):
    i.put(i.entry(2), ">Q", COPIED | 1 << 40)


def entry_unaligned(i):
    i.put(i.entry(2), ">Q", i.get(i.entry(2), ">Q") + 512)


def zero_entry_unaligned(i):
    if i.extended:
        i.put(i.entry(2) + 8, ">Q", 0xffffffff << 32)
    i.put(i.entry(2), ">Q", i.get(i.entry(2), ">Q") + 512 + (not i.extended))


def reserved_bits(i):
    i.put(i.entry(2), ">Q", i.get(i.entry(2), ">Q") | 1 << 58 | 4)


def l1_reserved_bits(i):
    i.put(i.l1, ">Q", i.get(i.l1, ">Q") | 1 << 58 | 4)


def l1_unaligned(i):
    i.put(i.l1, ">Q", i.get(i.l1, ">Q") + 512)


def l1_beyond_end(i):
    i.put(i.l1, ">Q", 1 << 45 | COPIED)


def compressed_copied(i):
    i.put(i.entry(2), ">Q", 1 << 62 | COPIED | i.host(2))


def bitmap_of_both_kinds(i):
    if i.extended:
        i.put(i.entry(2) + 8, ">Q", 0xff000000ff)


def bitmap_without_place(i):
    if i.extended:
        i.put(i.entry(2), ">Q", 0)


def bitmap_of_compressed(i):
    if i.extended:
        i.put(i.entry(2), ">Q", 1 << 62 | i.host(2))


def entry_in_metadata(i):
    i.put(i.entry(2), ">Q", i.l1 | COPIED)


def refblock_missing(i):
    i.put(i.reftable, ">Q", 0)


def refblock_unaligned(i):
    i.put(i.reftable, ">Q", i.refblock + 512)


def refblock_reserved(i):
    i.put(i.reftable, ">Q", i.refblock + 4)


def refblock_outside(i):
    i.put(i.reftable + 8, ">Q", 1 << 31)


def refblock_in_header(i):
    i.put(i.reftable + 8, ">Q", i.refblock)


def refblock_wiped(i):
    for k in range(0, i.cluster, 8):
        i.put(i.refblock + k, ">Q", 0)


def dirty(i):
    if i.version > 2:
        i.flip(79, 1)
        count_too_low(i)


def corrupt(i):
    if i.version > 2:
        i.flip(79, 2)


def truncated(i):
    os.truncate(i.name, os.path.getsize(i.name) // 2)


def truncated_a_little(i):
    os.truncate(i.name, os.path.getsize(i.name) - 3 * i.cluster)


def snapshot_unaligned(i):
    if i.nb_snapshots:
        i.flip(i.snapshots + 6, 2)


def snapshot_l1_large(i):
    if i.nb_snapshots:
        i.put(i.snapshots + 8, ">I", 0x1000000)


def snapshot_much_extra(i):
    if i.nb_snapshots:
        i.put(i.snapshots + 36, ">I", 2000)


def snapshot_no_extra(i):
    if i.nb_snapshots:
        i.put(i.snapshots + 36, ">I", 8)


def many_snapshots(i):
    if i.nb_snapshots:
        i.put(60, ">I", 70000)


def snapshots_misplaced(i):
    if i.nb_snapshots:
        i.put(64, ">Q", i.snapshots + 512)


def autoclear_gone(i):
    if i.version > 2:
        i.put(88, ">Q", 0)


# Content that the damage itself changes is not compared.
KEEP = [leak, many_leaks, count_too_low, count_of_table_too_low, count_too_high, copied_missing,
        copied_missing_in_l1, refblock_missing, refblock_unaligned, refblock_reserved,
        refblock_outside, refblock_in_header, refblock_wiped, dirty, corrupt,
        snapshot_no_extra, many_snapshots, autoclear_gone]
LOSE = [two_use_one, entry_beyond_end, entry_unaligned, zero_entry_unaligned, reserved_bits,
        l1_reserved_bits, l1_unaligned, l1_beyond_end, compressed_copied, bitmap_of_both_kinds,
        bitmap_without_place, bitmap_of_compressed, entry_in_metadata, truncated,
        truncated_a_little, snapshot_unaligned, snapshot_l1_large, snapshot_much_extra,
        snapshots_misplaced]


def compare(what, ours, theirs, wording):
    problems = []
    if ours.numbers != theirs.numbers:
        problems.append(f"numbers: {ours.numbers}, qemu-img: {theirs.numbers}")
    if "Could not open" in theirs.text:
        wording = False         # and we say what is wrong
    if wording and ours.faults != theirs.faults:
        problems.append("words:\n  " + "\n  ".join(ours.faults[:9]) +
                        "\nqemu-img:\n  " + "\n  ".join(theirs.faults[:9]))
    if problems:
        raise AssertionError(f"{what}: " + "\n".join(problems))


def count_snapshots():
    image = Image(IMAGE)
    image.close()
    return image.nb_snapshots


def mend(what, keep, fix, loses_snapshots):
    """Ours mends at least as well as theirs, and what could be read still can."""
    shutil.copy(SAVED, COPY)
    qemu_check(COPY, fix)
    theirs = qemu_check(COPY)
    shutil.copy(SAVED, IMAGE)
    mended = our_check(IMAGE, fix)
    ours = our_check(IMAGE)
    again = qemu_check(IMAGE)
    compare(f"{what}, after -r {fix}", ours, again, True)
    if theirs.clean and not again.clean and not loses_snapshots:
        raise AssertionError(f"{what}: -r {fix} leaves {again.numbers}\n{again.text}\n"
                             f"after:\n{mended.text}")
    if keep and again.clean:
        assert content(IMAGE, RAW2), what
        with open(RAW, "rb") as one, open(RAW2, "rb") as two:
            assert one.read() == two.read(), f"{what}: other content"
        assert count_snapshots() or not loses_snapshots, what
    return again.clean


clean = total = 0
for kind, args in KINDS.items():
    if WANTED != ["all"] and kind not in WANTED:
        continue
    pristine = nbdtest.path("pristine")
    make(pristine, **args)
    assert content(pristine, RAW)
    compare(f"{kind}, undamaged", our_check(pristine), qemu_check(pristine), True)
    for damage in KEEP + LOSE:
        what = f"{kind}, {damage.__name__}"
        shutil.copy(pristine, IMAGE)
        image = Image(IMAGE)
        damage(image)
        image.close()
        shutil.copy(IMAGE, SAVED)
        compare(what, our_check(IMAGE), qemu_check(IMAGE), True)
        for fix in "leaks", "all":
            # qemu-img 7.2 drops the snapshots of an image that has a bitmap as well.
            clean += mend(what, damage in KEEP, fix, kind == "bitmap and snapshots")
            total += 1
print(f"{clean} of {total} damaged images clean after repair")
