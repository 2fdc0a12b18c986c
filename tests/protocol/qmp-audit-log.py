#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each command of the control socket is in the log: who, what, with which result, no secrets."""
import json
import os
import re

from rawnbd import eq, nbdtest, qmptest

# How a command can carry something secret, "S%d"; what else it says is told: "shown".
CARRIERS = [
    ('blockdev-add', {'driver': 'shown', 'node-name': 'n', 'password': 'S1', 'key-secret': 'S2',
                      'file': {'driver': 'nbd', 'host': 'shown', 'tls-psk': 'S3',
                               'Access-Token': ['S4', {'a': 'S5'}], 'server.passwd': 'S6', 'credentials': 'S21'}}),
    ('object-add', {'qom-type': 'secret', 'id': 'shown', 'data': 'S7'}),
    ('x-export-set', {'id': 'd0', 'description': 'shown', 'list': [{'encrypt.key': 'S8'}]}),
    ('x-export-add', {'name': 'n', 'image-opts': True,
                      'image': 'driver=shown,file.password=S9,,S9,a=shown,Key=S10'}),
    ('x-export-add', {'name': 'n', 'image': 'nbds://shown:S11@h/e?tls-psk-file=S12,S12&a=shown'}),
    ('blockdev-change-medium', {'device': 'd0', 'filename': 'https://shown:S13:S@13@host/shown'}),
    ('blockdev-change-medium', {'device': 'd0', 'filename': 'json:' + json.dumps(
        {'driver': 'shown', 'password': 'S14', 'file': {'filename': 'nbd://a:S15@h/shown',
                                                       'key': {'b': 'S16'}}})}),
    ('x-export-add', {'name': 'e', 'image': 'json:' + json.dumps(
        {'driver': 'raw', 'password': 'S22 \u00e9 "S22"'})}),
    ('blockdev-change-medium', {'device': 'd0', 'filename': 'json:{shown no more: S17'}),
    # The error repeats these.
    ('blockdev-change-medium', {'device': 'd0', 'filename': 'shown://a:S18@h', 'format': 'raw'}),
    ('blockdev-del', {'node-name': 'shown,secret=S19'}),
    ('blockdev-del', {'node-name': 'shown' + ',key=S20' * 65}),
]

with qmptest.Server(['--log=json', '-v',
                     '--export=name=d0,format=raw,image=' + nbdtest.disk(1 << 20)]) as server:
    with server.qmp() as qmp:
        qmp.cmd('x-log-level', level='info')
        qmp.cmd('query-version')
        qmp.fails('x-tls-reload')
        qmp.fails('x-log-level', password='open', list=[{'tls-psk': 'sesame', 'key': [1]}], a='b')
        qmp.fails('x-nonesuch', 'CommandNotFound', x='y' * 5000)
        qmp.cmd('x-log-level', level='notice')
        qmp.cmd('query-version')
        for command, arguments in CARRIERS:
            try:
                qmp.cmd_args(command, arguments)
                raise AssertionError(command)
            except qmptest.QmpError:
                pass
    entries = [json.loads(line) for line in server.log().splitlines()]

audit = [e for e in entries if 'command' in e]
eq([(e['command'], e['level'], e['failed']) for e in audit],
   [('qmp_capabilities', 'info', 0), ('query-qmp-schema', 'info', 0), ('x-log-level', 'notice', 0),
    ('query-version', 'info', 0), ('x-tls-reload', 'notice', 1), ('x-log-level', 'notice', 1),
    ('x-nonesuch', 'notice', 1), ('x-log-level', 'notice', 0),
    *((command, 'notice', 1) for command, _ in CARRIERS)], 'audit')
for e in audit:
    eq((e['uid'], e['gid'], e['pid']), (os.getuid(), os.getgid(), os.getpid()), e)
eq('"level": "info"' in audit[2]['message'], True, audit[2])
eq('no TLS' in audit[4]['message'], True, audit[4])
eq('open' in audit[5]['message'] or 'sesame' in audit[5]['message'], False, audit[5])
eq('"a": "b"' in audit[5]['message'], True, audit[5])
eq(len(audit[6]['message']) < 2000 and 'yyy...' in audit[6]['message'], True, audit[6])
for e, (_, arguments) in zip(audit[8:], CARRIERS):
    shown = json.dumps(arguments).count('shown')
    eq('***' in e['message'] and e['message'].count('shown') >= shown, True, e)
eq([e['message'] for e in entries if re.search(r'S\d', e['message'])], [], 'told')
eq("name='shown,secret=***'" in audit[-2]['message'], True, audit[-2])
eq(audit[-1]['message'].endswith('}: ***'), True, audit[-1])
