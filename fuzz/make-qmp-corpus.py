#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make-qmp-corpus.py FOLDER DICT: writes the seeds and the dictionary of fuzz-qmp.

Out of query-qmp-schema: each command with the arguments it must have and with all it can have, and
pairs of commands.  Run it from the build folder.  Inputs that once found something are in the same
folder, named found-*, and stay.
"""
import itertools
import json
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../tests'))
import qmptest  # noqa: E402

# As fuzz/server-target.c has them; and the nodes and files of `extra`.
NAMES = ['ro', 'd', 'n0', 'd.qcow2']
ALL_AT_ONCE, NOTHING, NEGOTIATED = 0, 0, 1

MEMORY = {'driver': 'memory', 'size': 65536}
# Commands that go together, which chance would hardly put together.
STORIES = [
    [('blockdev-add', {**MEMORY, 'node-name': 'n0'}),
     ('block-export-add', {'type': 'nbd', 'id': 'e0', 'node-name': 'n0', 'writable': True}),
     ('query-block-exports', {}), ('blockdev-del', {'node-name': 'n0'}),
     ('block_resize', {'device': 'e0', 'size': 131072}),
     ('block-export-del', {'id': 'e0', 'mode': 'hard'}), ('blockdev-del', {'node-name': 'n0'})],
    [('blockdev-snapshot-sync', {'device': 'd', 'snapshot-file': 's0', 'format': 'qcow2',
                                 'snapshot-node-name': 's0'}),
     ('blockdev-snapshot-sync', {'device': 'd', 'snapshot-file': 's1', 'format': 'qcow2'}),
     ('query-named-block-nodes', {'flat': True}),
     ('block-commit', {'device': 'd', 'job-id': 'j', 'auto-finalize': False, 'speed': 1}),
     ('query-jobs', {}), ('block-job-set-speed', {'device': 'j', 'speed': 0}),
     ('job-pause', {'id': 'j'}), ('query-block-jobs', {}), ('job-resume', {'id': 'j'}),
     ('job-complete', {'id': 'j'}), ('job-finalize', {'id': 'j'}), ('job-cancel', {'id': 'j'}),
     ('job-dismiss', {'id': 'j'})],
    [('blockdev-snapshot-sync', {'device': 'd', 'snapshot-file': 's0', 'format': 'qcow2'}),
     ('blockdev-snapshot-internal-sync', {'device': 'd', 'name': 'i'}), ('query-block', {}),
     ('block-dirty-bitmap-add', {'node': 'd', 'name': 'b', 'persistent': True}),
     ('block-dirty-bitmap-disable', {'node': 'd', 'name': 'b'}),
     ('block-dirty-bitmap-clear', {'node': 'd', 'name': 'b'}),
     ('block-dirty-bitmap-remove', {'node': 'd', 'name': 'b'}),
     ('blockdev-snapshot-delete-internal-sync', {'device': 'd', 'name': 'i'})],
    [('eject', {'id': 'ro'}), ('blockdev-add', {**MEMORY, 'node-name': 'n0', 'read-only': True}),
     ('blockdev-insert-medium', {'id': 'ro', 'node-name': 'n0'}),
     ('blockdev-close-tray', {'id': 'ro'}), ('query-block', {}),
     ('blockdev-open-tray', {'id': 'ro', 'force': True}), ('blockdev-remove-medium', {'id': 'ro'}),
     ('blockdev-change-medium', {'id': 'ro', 'filename': 'nonesuch'})],
    [('block_set_io_throttle', {'device': 'big', 'bps': 1000, 'bps_rd': 0, 'bps_wr': 0, 'iops': 0,
                                'iops_rd': 0, 'iops_wr': 0, 'bps_max': 5000, 'group': 'g'}),
     ('x-query-throttle', {'id': 'big'}), ('x-set-write-cache', {'device': 'big', 'enable': False}),
     ('block-latency-histogram-set', {'id': 'big', 'boundaries': [10, 100, 1000]}),
     ('query-blockstats', {}), ('x-export-pause', {'id': 'big'}), ('x-export-drain', {}),
     ('x-export-resume', {'id': 'big'}), ('x-query-clients', {}), ('x-query-exports', {})],
    [('x-export-add', {'name': 'x', 'image': 'driver=memory,size=64k', 'image-opts': True}),
     ('x-export-set', {'id': 'x', 'description': 'd', 'shared': 2}),
     ('x-set-error-policy', {'device': 'x', 'on-write-error': 'stop'}),
     ('blockdev-reopen', {'options': [{'driver': 'null-co', 'node-name': 'x'}]}),
     ('block-export-del', {'id': 'x', 'mode': 'soft'})],
]


class Values:
    """Values for types; each call may give another one."""

    def __init__(self, schema):
        self.schema = schema
        self.numbers = itertools.cycle([1, 0, 65536, -1, 1 << 40, 512])
        self.names = itertools.cycle(NAMES)
        self.enums = {}

    def of(self, name, optional, depth=0):
        info = self.schema.types[name]
        kind = info['meta-type']
        if kind == 'enum':
            values = self.enums.setdefault(name, itertools.cycle(info['values']))
            return next(values)
        if kind == 'array':
            return [self.of(info['element-type'], optional, depth + 1)] if depth < 3 else []
        if kind == 'object':
            return {m['name']: self.of(m['type'], optional, depth + 1) for m in info['members']
                    if depth < 3 and (optional or 'default' not in m)}
        return {'string': next(self.names), 'int': next(self.numbers), 'number': 1.5,
                'boolean': True, 'null': None, 'value': {'x': [1]}}[info['json-type']]


def request(command, args, how='execute'):
    return json.dumps({how: command, 'arguments': args}).encode()


def out_of_band(schema, values):
    """Commands that overtake those which drain, open and close."""
    commands = [n for n, info in schema.commands.items() if info.get('allow-oob')]
    yield from (request(name, values.of(schema.commands[name]['arg-type'], True), 'exec-oob')
                for name in commands if name not in ('quit', 'query-qmp-schema'))
    for name, args in itertools.chain(*STORIES):
        yield request(name, args)
        yield request('x-export-resume', {'id': 'd'}, 'exec-oob')
        yield request('x-query-exports', {}, 'exec-oob')


def seeds(schema):
    values = Values(schema)
    singles = []
    for name, info in schema.commands.items():
        if name == 'query-qmp-schema':
            continue
        for optional in (False, True):
            singles.append(request(name, values.of(info['arg-type'], optional)))
            if not schema.types[info['arg-type']]['members']:
                break
    yield from singles
    extra = request('blockdev-add', {'driver': 'memory', 'size': 65536, 'node-name': 'n0'})
    for i in range(len(singles)):
        yield extra + b'\r\n' + b'\n'.join(singles[i * 7 % len(singles)::11])
    for story in STORIES:
        for length in range(len(story), 0, -3):
            yield b''.join(request(*each) for each in story[:length])
    yield b'{"execute":"query-version","id":[{"a":"\\u00e9"},null,1e3]}]}nope"x\n\xff{}' + singles[0]
    yield b'[' * 70 + b']' * 70 + singles[0]


def seeds_that_negotiate(schema):
    hello = request('qmp_capabilities', {'enable': ['oob']})
    calls = list(out_of_band(schema, Values(schema)))
    yield hello + b''.join(calls)
    for i in range(0, len(calls), 24):
        yield hello + b'\n'.join(calls[i:i + 24])
    yield hello + request('query-version', {}, 'exec-oob') + b'{"exec-oob": 7}' + \
        request('eject', {}, 'exec-oob') + request('quit', {}, 'exec-oob')


def main():
    folder, dictionary = sys.argv[1:]
    with qmptest.Server(['--image-opts', 'driver=null-co']) as server, server.qmp() as qmp:
        schema = qmp.schema
    for name in os.listdir(folder):
        if name.startswith('seed-'):
            os.unlink(os.path.join(folder, name))
    both = [(NEGOTIATED, seed) for seed in seeds(schema)]
    both += [(NOTHING, seed) for seed in seeds_that_negotiate(schema)]
    for number, (first, seed) in enumerate(both):
        if b'/' in seed or b'host' in seed or b'inet' in seed:
            continue
        with open(os.path.join(folder, 'seed-%03d' % number), 'wb') as f:
            f.write(bytes([7 * (number % 5) or ALL_AT_ONCE, first]) + seed)
    words = set(schema.commands) | {'execute', 'exec-oob', 'arguments', 'id', 'memory', 'null-co',
                                    'qcow2', 'raw', 'driver', 'file', 'size', 'filename',
                                    *NAMES}
    for info in schema.types.values():
        words |= {m['name'] for m in info.get('members', [])}
    with open(dictionary, 'w') as f:
        f.write('# SPDX-License-Identifier: LGPL-2.1-or-later\n# Made by make-qmp-corpus.py.\n')
        for word in sorted(words):
            f.write('"\\"%s\\""\n' % word)


main()
