#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/contract.md names a test for each item of the contract, and each of them exists and ran."""
import os
import re
import sys

SOURCE = os.environ['abs_top_srcdir']
BUILD = os.environ['abs_top_builddir']
TSAN = 'thread' in os.environ.get('SANITIZERS', '')

ITEMS = ([f'F{n}' for n in range(1, 101)] + [f'R{n}' for n in range(1, 14)] +
         [f'D{n}' for n in range(1, 41)])

problems = []


def rows():
    """(item, [(file, test), ...]) of each row: | F1 | what | file: test test; file: test |"""
    with open(os.path.join(SOURCE, 'docs/contract.md'), encoding='utf-8') as f:
        for line in f:
            cells = [c.strip() for c in line.split('|')]
            if len(cells) == 5 and re.fullmatch(r'[FRD]\d+', cells[1]):
                proofs = []
                for proof in filter(None, (p.strip() for p in cells[3].split(';'))):
                    name, _, tests = proof.partition(':')
                    proofs += [(name.strip(), test) for test in tests.split()] or [(name, None)]
                yield cells[1], proofs


def check_unit(item, name, test):
    with open(os.path.join(SOURCE, name), encoding='utf-8') as f:
        if not re.search(rf'^static void {test}\(', f.read(), re.M):
            problems.append(f'{item}: {name} has no test {test}')
            return
    log = os.path.join(BUILD, name[:-2] + '.log')
    # Tests of preconditions fork and abort, which ThreadSanitizer does not take.
    if not TSAN:
        with open(log, encoding='utf-8', errors='replace') as f:
            if not re.search(rf'OK \] {test}\b', f.read()):
                problems.append(f'{item}: {name}: {test} did not run, or failed')


def check_script(item, name):
    log = os.path.join(BUILD, os.path.splitext(name)[0] + '.log')
    with open(log, encoding='utf-8', errors='replace') as f:
        if not re.search(r'^ok 1', f.read(), re.M):
            problems.append(f'{item}: {name} did not run, or failed')


found = {}
for item, proofs in rows():
    if item in found:
        problems.append(f'{item}: more than one row')
    found[item] = proofs
    for name, test in proofs:
        if not os.path.exists(os.path.join(SOURCE, name)):
            problems.append(f'{item}: there is no {name}')
        elif name.endswith('.c') and test:
            check_unit(item, name, test)
        else:
            check_script(item, name)

for item in ITEMS:
    if not found.get(item):
        problems.append(f'{item}: no test is named')
for item in found:
    if item not in ITEMS:
        problems.append(f'{item}: not an item of the contract')

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
