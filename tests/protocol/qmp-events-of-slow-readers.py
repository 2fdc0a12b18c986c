#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who does not read his events loses some, is told how many, and gets those that come later."""
from rawnbd import eq, nbdtest, qmptest

TURNS = 1500
NAME = 'd' * 255      # so that no socket takes them all

with qmptest.Server(['--image-opts', '--export', 'name=%s,image=driver=null-co' % NAME]) as server, \
        server.qmp() as qmp, server.qmp() as lazy:
    for _ in range(TURNS):
        qmp.cmd('x-export-pause', id=NAME)
        qmp.cmd('x-export-resume', id=NAME)
    eq([e['data']['state'] for e in qmp.events], ['paused', 'running'] * TURNS, 'who reads')

    lost = lazy.wait_event('X_EVENTS_LOST')['count']
    got = [e['data']['state'] for e in lazy.events]
    eq(got, (['paused', 'running'] * TURNS)[:2 * TURNS - lost], 'none is lost in between')
    eq(1024 <= len(got) < 2 * TURNS, True, len(got))

    qmp.cmd('x-export-pause', id=NAME)
    lazy.events = []
    eq(lazy.wait_event('X_EXPORT_STATE'), {'id': NAME, 'state': 'paused', 'reason': 'paused'},
           'later')
    eq('package' in lazy.cmd('query-version'), True, 'commands')
    eq(lazy.events, [], 'no more')
