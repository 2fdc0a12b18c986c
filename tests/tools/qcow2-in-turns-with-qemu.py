# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our tools and QEMU's in turn on the same qcow2 images, at random, beside a shadow in memory.

After each round `check` of both finds nothing, both read what is in the shadow, and both answer
alike what they are asked about the image.  In some rounds the other tool does the same to a copy,
and must end with the same status, the same words and an equal image.

$SEED is the first image's seed, $IMAGES and $ROUNDS say how many images, and rounds on each.
A failure prints the commands that led to it; what the last of them began with is left in $KEEP.
"""

import os
import random
import shutil
import sys
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import nbdtest  # noqa: E402
import imageactions  # noqa: E402
import twotools  # noqa: E402
from shadowedimage import Image  # noqa: E402


class Run:
    """An image and its rounds."""

    done = Counter()        # how often each of the two has done what, over all images

    def __init__(self, seed, qemu, ours):
        self.random = random.Random(seed)
        self.qemu, self.ours = qemu, ours
        self.folder, self.twin = nbdtest.path("work"), nbdtest.path("twin")
        for folder in (self.folder, self.twin):
            shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(self.folder)
        self.log = []
        self.image = Image(self.random, qemu, ours, self.folder)

    def do(self, tools, step, folder):
        """All commands of it up to the first that fails."""
        done = []
        for program, *words in step.commands:
            if folder == self.folder:
                self.log.append(f"{tools.name}: {program} {' '.join(map(str, words))}")
            done.append(tools.run(folder, program, *words))
            if done[-1].status:
                break
        return done

    def round(self):
        what, step = imageactions.choose(self.image)
        keep_in = os.environ.get("KEEP")
        if keep_in:
            shutil.rmtree(keep_in, ignore_errors=True)
            shutil.copytree(self.folder, keep_in)
        turn, other = self.random.choice([(self.qemu, self.ours), (self.ours, self.qemu)])
        twins = self.random.random() < .2
        asks_more = self.random.random() < .15
        if step.ours_only:
            turn, twins = self.ours, False
        twins = twins and step.alike
        if twins:
            shutil.rmtree(self.twin, ignore_errors=True)
            shutil.copytree(self.folder, self.twin)
        done = self.do(turn, step, self.folder)
        self.done[turn.name, what, "refused" if done[-1].status else "done"] += 1
        step.happened(done, turn)
        self.image.check()
        if twins:
            self.same_twin(what, done, self.do(other, step, self.twin))
        for question in imageactions.questions(self.image):
            self.image.check_same_said(*question)
        if asks_more:
            self.image.check_snapshots()
            self.image.check_bitmaps()

    def same_twin(self, what, done, others):
        """What the other made of the copy."""
        have, want = ([(d.status, twotools.mask(d.output)) for d in each]
                      for each in (others, done))
        if have != want:
            raise twotools.Failure(f"{what}: done by the other: {have}, not {want}")
        name = self.image.name
        self.qemu.must(self.twin, "qemu-img", "check", "-q", name)
        self.qemu.must(self.twin, "qemu-img", "compare", "-f", "qcow2", "-F", "raw", name,
                       os.path.join(self.folder, "raw.qemu"))


def main():
    qemu, ours = twotools.both()
    first, images, rounds = (int(os.environ.get(name, default)) for name, default in
                             (("SEED", 1), ("IMAGES", 8), ("ROUNDS", 20)))
    total = 0
    for seed in range(first, first + images):
        run = Run(seed, qemu, ours)
        print(f"seed {seed}: {run.image.kind}, backing files: {run.image.chain}", flush=True)
        try:
            for _ in range(rounds):
                run.round()
                total += 1
        except Exception:
            print("\n".join(run.log))
            print(f"after {total} rounds without a difference, in seed {seed}:", flush=True)
            raise
        finally:
            run.image.close()
    for words, times in sorted(Run.done.items()):
        print(*words, times)
    print(f"{total} rounds without a difference")


main()
