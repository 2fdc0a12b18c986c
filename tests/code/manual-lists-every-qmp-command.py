#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/nbd-export-qmp.pod has every command and event of the server, with all arguments, and says
which can be run out of band."""
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402
import qmptest  # noqa: E402

SOURCE = os.environ.get('abs_top_srcdir', os.path.join(os.path.dirname(__file__), '..', '..'))


def words(schema, name):
    """The members of a type as the manual writes them."""
    info = schema.types[name]
    members = {'[%s]' % m['name'] if 'default' in m else m['name'] for m in info['members']}
    return members | ({'...'} if info.get('x-open') else set())


with open(os.path.join(SOURCE, 'docs', 'nbd-export-qmp.pod')) as f:
    page = f.read()
commands, events = re.search(r'^=head1 COMMANDS$(.*?)^=head1 EVENTS$(.*?)^=head1', page,
                             re.M | re.S).groups()
out_of_band = re.search(r'says so of (.*?)\.', page, re.S)[1]
manual = {}
for name, members in re.findall(r'^=item B<([^>]+)>(.*)$', commands + events, re.M):
    assert name not in manual, name + ' is there twice'
    members = re.sub(r'\((\S+)\|(\S+)\)', r'[\1] [\2]', members)     # one of them is needed
    manual[name] = set(members.replace(',', ' ').split())

with qmptest.Server(['driver=null-co', '--image-opts']) as server, server.qmp() as qmp:
    schema = qmp.schema
    table = {name: words(schema, info['arg-type'])
             for name, info in [*schema.commands.items(), *schema.events.items()]}

wrong = ['%s: the server has it, the manual does not' % n for n in sorted(set(table) - set(manual))]
wrong += ['%s: the manual has it, the server does not' % n for n in sorted(set(manual) - set(table))]
oob = {name for name, info in schema.commands.items() if info.get('allow-oob')}
wrong += ['%s: only one of server and manual allows exec-oob' % n
          for n in sorted(oob ^ set(re.findall('B<([^>]+)>', out_of_band)))]
for name in sorted(set(table) & set(manual)):
    if table[name] != manual[name]:
        wrong.append('%s: the server has %s, the manual %s'
                     % (name, ', '.join(sorted(table[name])), ', '.join(sorted(manual[name]))))
assert not wrong and len(table) > 10, '\n'.join(['docs/nbd-export-qmp.pod:', *wrong])
