#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU knows too has its names and types: arguments, results and events of our schema are held
against that of the QEMU which is installed."""
import json
import shutil
import subprocess

from rawnbd import nbdtest, qmptest

QEMU = shutil.which('qemu-system-x86_64') or nbdtest.skip('qemu-system-x86_64 is not installed')

ON_PURPOSE = {
    # Both are in the comment of QEMU's definition, as what there could be.
    'block-export-del.mode: QEMU has no value soft, hide',
    # QEMU refuses the command without it, too.
    'blockdev-add.node-name: with QEMU it can be left out',
    'blockdev-reopen.options[].node-name: with QEMU it can be left out',
    # As other commands about media have it.
    'blockdev-remove-medium.device: QEMU does not have it',
    'blockdev-insert-medium.device: QEMU does not have it',
}


class Comparison:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.wrong = []
        self.known = set()           # pairs of types, compared already or right now

    def complain(self, where, what):
        if '%s: %s' % (where, what) not in ON_PURPOSE:
            self.wrong.append('%s: %s' % (where, what))

    def their_members(self, info):
        """Of a struct, or all that some kind of a union can have."""
        members = {m['name']: m for m in info['members']}
        for variant in info.get('variants', []):
            for member in self.theirs.types[variant['type']]['members']:
                members.setdefault(member['name'], {**member, 'default': None})
        return members

    def compare(self, mine, his, where, given):
        """given: clients send it; else they get it."""
        if (mine, his) in self.known:
            return
        self.known.add((mine, his))
        us, them = self.ours.types[mine], self.theirs.types[his]
        kinds = us['meta-type'], them['meta-type']
        if us.get('json-type') == 'value' or kinds[1] == 'alternate':
            return
        if kinds == ('enum', 'enum'):
            extra = [v for v in us['values'] if v not in them['values'] and not v.startswith('x-')]
            if extra:
                self.complain(where, 'QEMU has no value %s' % ', '.join(extra))
        elif kinds == ('array', 'array'):
            self.compare(us['element-type'], them['element-type'], where + '[]', given)
        elif kinds == ('object', 'object'):
            self.compare_members(us, them, where, given)
        elif kinds[0] != kinds[1] and 'enum' in kinds and \
                'string' in (us.get('json-type'), them.get('json-type')):
            pass                     # a string with no more than some values
        elif us.get('json-type') != them.get('json-type') or kinds[0] != kinds[1]:
            self.complain(where, 'is %s, with QEMU %s' % (
                us.get('json-type', kinds[0]), them.get('json-type', kinds[1])))

    def compare_members(self, us, them, where, given):
        mine, his = {m['name']: m for m in us['members']}, self.their_members(them)
        for name, member in mine.items():
            here = where + '.' + name
            if name not in his:
                if not name.startswith('x-'):
                    self.complain(here, 'QEMU does not have it')
                continue
            self.compare(member['type'], his[name]['type'], here, given)
            if given and 'default' not in member and 'default' in his[name]:
                self.complain(here, 'with QEMU it can be left out')
            if not given and 'default' in member and 'default' not in his[name]:
                self.complain(here, 'with QEMU it is always there')
        for name, member in his.items():
            if name not in mine and 'default' not in member and not us.get('x-open'):
                self.complain(where + '.' + name, 'it is missing')


run = subprocess.run([QEMU, '-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio'],
                     input='{"execute": "qmp_capabilities"} {"execute": "query-qmp-schema"} '
                           '{"execute": "quit"}', capture_output=True, text=True, timeout=60)
replies = [json.loads(line) for line in run.stdout.splitlines()]
theirs = qmptest.Schema(next(r['return'] for r in replies if r.get('return')))
with qmptest.Server(['--image-opts', 'driver=null-co']) as server, server.qmp() as qmp:
    comparison = Comparison(qmp.schema, theirs)

same = 0
for name, info in comparison.ours.commands.items():
    if not name.startswith('x-') and name != 'query-commands':
        other = theirs.commands.get(name)
        if not other:
            comparison.complain(name, 'QEMU has no such command')
            continue
        comparison.compare(info['arg-type'], other['arg-type'], name, True)
        comparison.compare(info['ret-type'], other['ret-type'], name + ' returns', False)
        same += 1
for name, info in comparison.ours.events.items():
    if not name.startswith('X_'):
        other = theirs.events.get(name)
        if not other:
            comparison.complain(name, 'QEMU has no such event')
            continue
        comparison.compare(info['arg-type'], other['arg-type'], name, False)
        same += 1
assert not comparison.wrong and same > 30, '\n'.join(comparison.wrong)
