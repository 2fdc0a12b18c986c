#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each command of the control socket is in the log: who, what, with which result, no secrets."""
import json
import os

from rawnbd import eq, nbdtest, qmptest

with qmptest.Server(['--log=json', '-v', '--format=raw', nbdtest.disk(1 << 20)]) as server:
    with server.qmp() as qmp:
        qmp.cmd('x-log-level', level='info')
        qmp.cmd('query-version')
        qmp.fails('x-tls-reload')
        qmp.fails('x-log-level', password='open', list=[{'tls-psk': 'sesame', 'key': [1]}], a='b')
        qmp.fails('x-nonesuch', 'CommandNotFound', x='y' * 5000)
        qmp.cmd('x-log-level', level='notice')
        qmp.cmd('query-version')
    entries = [json.loads(line) for line in server.log().splitlines()]

audit = [e for e in entries if 'command' in e]
eq([(e['command'], e['level'], e['failed']) for e in audit],
   [('qmp_capabilities', 'info', 0), ('query-qmp-schema', 'info', 0), ('x-log-level', 'notice', 0),
    ('query-version', 'info', 0), ('x-tls-reload', 'notice', 1), ('x-log-level', 'notice', 1),
    ('x-nonesuch', 'notice', 1), ('x-log-level', 'notice', 0)], 'audit')
for e in audit:
    eq((e['uid'], e['gid'], e['pid']), (os.getuid(), os.getgid(), os.getpid()), e)
eq('"level": "info"' in audit[2]['message'], True, audit[2])
eq('no TLS' in audit[4]['message'], True, audit[4])
eq('open' in audit[5]['message'] or 'sesame' in audit[5]['message'], False, audit[5])
eq('"a": "b"' in audit[5]['message'], True, audit[5])
eq(len(audit[6]['message']) < 2000 and 'yyy...' in audit[6]['message'], True, audit[6])
