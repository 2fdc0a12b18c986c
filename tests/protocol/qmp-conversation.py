#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control socket speaks QMP: greeting, negotiation, ids, results, errors with class and desc."""
from rawnbd import eq, nbdtest, qmptest

image = nbdtest.disk(1 << 20)

with qmptest.Server(['--format=raw', image]) as server:
    with server.qmp(negotiate=False) as qmp:
        version = qmp.greeting['QMP']['version']
        eq(set(version['qemu']), {'major', 'minor', 'micro'}, version)
        eq(version['package'].split()[0], 'nbd-export', version)
        eq(qmp.greeting['QMP']['capabilities'], ['oob'], qmp.greeting)

        qmp.fails('query-version', 'CommandNotFound')
        qmp.fails('qmp_capabilities', enable=['nonesuch'])
        eq(qmp.cmd('qmp_capabilities', enable=[]), {}, 'negotiated')
        qmp.fails('qmp_capabilities', 'CommandNotFound')
        eq(qmp.cmd('query-version'), version, 'version')

    with server.qmp() as qmp:
        used, left = set(), [info[t] for info in [*qmp.schema.commands.values(),
                                                  *qmp.schema.events.values()]
                             for t in ('arg-type', 'ret-type') if t in info]
        while left:
            info = qmp.schema.types[left.pop()]
            if info['name'] not in used:
                used.add(info['name'])
                left += [m['type'] for m in info.get('members', []) if 'type' in m]
                left += [info[key] for key in ('element-type',) if key in info]
        unused = {n for n, i in qmp.schema.types.items() if i['meta-type'] != 'builtin'} - used
        eq(unused, set(), 'types that nothing uses')

        names = {command['name'] for command in qmp.cmd('query-commands')}
        eq(names, set(qmp.schema.commands), 'commands')

        for any_id in (0, 'x', None, [1, {'a': 2}], {'id': 1.5}, True, 'é"'):
            qmp.send_line({'execute': 'query-version', 'id': any_id})
            reply = qmp.reply()
            eq((reply['id'], reply['return']), (any_id, version), 'id')
        qmp.send_line({'execute': 'query-version'})
        eq(qmp.reply(), {'return': version}, 'no id')

        def refused(request, cls, *words):
            qmp.send_line(request)
            error = qmp.reply()['error']
            eq(set(error), {'class', 'desc'}, error)
            eq(error['class'], cls, error)
            for word in words:
                eq(word in error['desc'], True, (word, error))

        refused({'execute': 'qery-version'}, 'CommandNotFound', 'qery-version', 'query-version?')
        refused({'execute': 'query-version', 'argument': {}}, 'GenericError', "'argument'")
        refused({'arguments': {}}, 'GenericError', "'execute'")
        refused({'execute': 7}, 'GenericError', "'execute'", 'string')
        refused({'exec-oob': 'query-version'}, 'GenericError', "'exec-oob'")
        refused({'execute': 'query-version', 'arguments': []}, 'GenericError', 'object')
        refused({'execute': 'query-version', 'arguments': {'a': 1}}, 'GenericError', "'a'")
        refused([], 'GenericError', 'object')
        refused(12, 'GenericError', 'object')
        refused('text', 'GenericError', 'object')
        eq(qmp.cmd('query-version'), version, 'the session goes on')

        eq(qmp.cmd('quit'), {}, 'quit')
        eq(qmp.wait_event('SHUTDOWN'), {'guest': False, 'reason': 'host-qmp-quit'}, 'event')
        eq(qmp.receive(), None, 'the end')
    eq(server.wait(), 0, 'status')
