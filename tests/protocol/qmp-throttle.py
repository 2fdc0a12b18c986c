#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits change while requests wait for them: over the control socket, and back by a reload."""
import signal

from rawnbd import M, READ, connect, eq, nbdtest, qmptest, until

image = nbdtest.disk(M)
conf = nbdtest.path('conf')
with open(conf, 'w') as f:
    for name, keys in (('a', 'throttle.bps-total = 1\nthrottle-client.iops-total = 1000'),
                       ('b', 'throttle.group = g\nthrottle.iops-total = 10'),
                       ('c', 'throttle.group = g')):
        f.write(f'[{name}]\nimage = {image}\nformat = raw\nread-only = on\n{keys}\n')


def rates(limits):
    return {k: v for k, v in limits.items() if v}


def set_all(qmp, device, **limits):
    names = ('bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr')
    return qmp.cmd('block_set_io_throttle', **{**dict.fromkeys(names, 0), 'device': device, **limits})


def change(qmp, **limits):
    return qmp.cmd_args('x-set-throttle', {k.replace('_', '-'): v for k, v in limits.items()})


def in_force(qmp, name):
    info = qmp.cmd('x-query-throttle', id=name)
    return rates(info['limits']), info.get('group'), info['members']


with qmptest.Server(['--config', conf]) as server, server.qmp() as qmp, \
        connect(server, name='a') as a:

    def answered_by(lift):
        """Two wait, and are answered because of it."""
        for _ in range(2):
            a.request(READ, 0, 4096)
        until(lambda: qmp.cmd('x-query-throttle', id='a')['clients'][0]['waiting'] == 2,
              'two to wait')
        lift()
        eq([a.receive()[1].error for _ in range(2)], [0, 0], 'errors')

    # Lifted, or high enough; of the export, of its group or of the client; they go on being one.
    answered_by(lambda: set_all(qmp, 'a'))
    change(qmp, id='a', bps_read=1)
    answered_by(lambda: change(qmp, id='a', bps_read=0))
    change(qmp, id='a', bps_total=1, bps_total_max=2)
    answered_by(lambda: change(qmp, id='a', bps_total=M, bps_total_max=2 * M))
    change(qmp, id='a', scope='client', bps_total=1)
    answered_by(lambda: change(qmp, id='a', scope='client', bps_total=0))
    eq(in_force(qmp, 'a'), ({'bps-total': M, 'bps-total-max': 2 * M, 'bps-total-max-length': 1},
                            None, ['a']), 'a')
    change(qmp, id='b', iops_total=0, bps_total=1)
    change(qmp, id='a', group='g', bps_total_max=0)
    eq(in_force(qmp, 'a'), ({'bps-total': 1}, 'g', ['a', 'b', 'c']), 'a in g')
    answered_by(lambda: change(qmp, id='c', bps_total=0))
    for name in 'abc':
        eq(in_force(qmp, name)[0], {}, name)
    set_all(qmp, 'a', bps=1, group='h')
    eq((in_force(qmp, 'a')[1:], in_force(qmp, 'b')[1:]), (('h', ['a']), ('g', ['b', 'c'])), 'groups')
    answered_by(lambda: change(qmp, id='a', group='g', bps_total=0, iops_total=100))
    for name in 'abc':
        eq(in_force(qmp, name)[0], {'iops-total': 100}, name)

    # Those of a group follow whoever changes them.
    qmp.cmd_args('x-export-set', {'id': 'c', 'throttle.iops-total': 200})
    qmp.cmd_args('x-export-set', {'id': 'a', 'description': 'its limits are not told again'})
    for name in 'abc':
        eq(in_force(qmp, name)[0], {'iops-total': 200}, name)

    # What the answer says, and what is refused and changes nothing.
    got = set_all(qmp, 'a', iops_rd=5, iops_rd_max=50, iops_rd_max_length=3, bps_wr=7, iops_size=8192)
    eq(got, {}, 'the answer')
    limits = {'iops-read': 5, 'iops-read-max': 50, 'iops-read-max-length': 3, 'bps-write': 7,
              'iops-size': 8192}
    eq(in_force(qmp, 'a')[0], limits, 'all kinds')
    for wrong in ({'bps': 1}, {'bps_wr_max': 5}, {'iops_rd': -1}, {'iops_rd_max_length': 0},
                  {'iops_rd_max_length': 1 << 40}, {'group': ''}, {'group': 'x' * 256},
                  {'iops_size': -1}, {'iops_rd': 10 ** 16}):
        given = {'bps_wr': 7, 'iops_rd': 5, 'iops_rd_max': 50}
        try:
            set_all(qmp, 'a', **{**given, **wrong})
        except qmptest.QmpError as e:
            eq(e.cls, 'GenericError', e)
        else:
            raise AssertionError(wrong)
        eq(in_force(qmp, 'a')[0], limits, wrong)
    for wrong in ({'bps-total': 1}, {'iops-write-max': 3}, {'scope': 'client', 'group': 'g'}):
        try:
            qmp.cmd_args('x-set-throttle', {'id': 'a', **wrong})
        except qmptest.QmpError as e:
            eq(e.cls, 'GenericError', e)
        else:
            raise AssertionError(wrong)
    eq(in_force(qmp, 'a')[0], limits, 'nothing is changed')
    qmp.fails('x-query-throttle', 'DeviceNotFound', id='nope')
    got = change(qmp, id='a', iops_read=0)
    eq(rates(got['limits']), {'bps-write': 7}, 'with its bursts, and the size of one')

    # A reload sets back what the file says, for all of a group.
    eq(rates(change(qmp, id='a', scope='client', iops_total=7)['client-limits']),
       {'iops-total': 7}, 'client limits')
    server.proc.send_signal(signal.SIGHUP)
    until(lambda: in_force(qmp, 'a') == ({'bps-total': 1}, None, ['a']), 'the limits of the file')
    until(lambda: 'reloaded' in server.log(), 'the end of the reload')
    for name in 'bc':
        eq(in_force(qmp, name), ({'iops-total': 10}, 'g', ['b', 'c']), name)
    eq(rates(qmp.cmd('x-query-throttle', id='a')['client-limits']), {'iops-total': 1000}, 'clients')
