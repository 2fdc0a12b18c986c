#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the control socket that do not read, flood it or vanish harm neither server nor
others."""
import os
import random
import socket

from rawnbd import eq, nbdtest, qmptest, until

IMAGES = [nbdtest.disk(1 << 20, 'disk%d' % i) for i in range(4)]
CONFIG = nbdtest.path('nbd-export.conf')
SESSIONS = 64
MANY = 3000


def write_config(names):
    with open(CONFIG, 'w') as f:
        for name in names:
            f.write('[e%d]\nimage = %s\nformat = raw\n' % (name, IMAGES[name]))


def resident():
    with open('/proc/%d/statm' % server.proc.pid) as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def descriptors():
    return len(os.listdir('/proc/%d/fd' % server.proc.pid))


def fill(session, line):
    """Sends lines until the server takes no more, though it has the time; how many in whole, and
    what of one more."""
    session.sock.setblocking(False)
    sent, data, idle = 0, line * 1000, 0
    while idle < 3:
        idle += 1
        qmp.cmd('query-version')
        try:
            while True:
                sent += session.sock.send(data[sent % len(data):])
                idle = 0
        except BlockingIOError:
            assert sent < MANY * len(line), 'the server reads on and on'
    return divmod(sent, len(line))


write_config(range(4))
with qmptest.Server(['--config=' + CONFIG]) as server, server.qmp() as qmp:
    before = descriptors()
    memory = resident()

    # Nobody reads the replies: no more commands are taken, and none is lost.
    lazy = server.qmp()
    line = b'{"execute": "query-qmp-schema", "id": 1}' + b' ' * 1000 + b'\n'
    whole, part = fill(lazy, line)
    qmp.cmd('query-version')
    assert resident() - memory < 128 << 20, (memory, resident())
    lazy.sock.settimeout(qmptest.TIMEOUT)
    for i in range(whole):
        eq('return' in lazy.reply(), True, i)
    lazy.sock.sendall(line[part:])
    eq('return' in lazy.reply(), True, 'the last')
    lazy.close()

    # Nor those of ten who then leave.
    for session in [server.qmp() for _ in range(10)]:
        fill(session, line)
        session.close()
    qmp.cmd('query-version')

    # One after the other at once, a thousand, then half a close: all is answered.
    with server.qmp() as session:
        for i in range(1000):
            session.send_line({'execute': 'query-version', 'id': i})
        session.sock.shutdown(socket.SHUT_WR)
        eq([session.receive()['id'] for _ in range(1000)], list(range(1000)), 'ids')
        eq(session.receive(), None, 'end')

    # Too many.
    until(lambda: descriptors() == before, 'the server to see that they have gone')
    sessions = [server.qmp(negotiate=False) for _ in range(SESSIONS - 1)]
    late = server.qmp(negotiate=False)
    eq('%d clients' % SESSIONS in late.greeting['error']['desc'], True, late.greeting)
    eq(late.receive(), None, 'the one too many is left alone')
    for session in sessions[1:]:
        session.sock.sendall(b'{"a": "' + b'x' * 10000)
    sessions.pop().close()
    qmp.cmd('query-version')
    for session in sessions:
        session.close()
    until(lambda: descriptors() == before, 'the server to see that they have gone')

    # Gone while the command runs, which opens and closes images.
    for i in range(60):
        write_config(random.sample(range(4), random.randint(1, 4)))
        session = server.qmp(negotiate=False)
        session.sock.sendall(b'{"execute": "qmp_capabilities"}' + b'{"execute": "x-reload"}' * 3)
        if i % 2:
            session.sock.shutdown(socket.SHUT_WR)
        session.close()
    write_config(range(4))
    qmp.cmd('x-reload')
    eq(qmp.cmd('x-query-server')['exports'], 4, 'exports')

    # Garbage.
    rng = random.Random(1)
    with server.qmp() as session:
        for _ in range(200):
            session.sock.sendall(bytes(rng.choice(b'{}[]",:\\ \n\xff\xc3aeu01"execute') for _ in
                                       range(rng.randint(1, 200))))
            session.sock.sendall(b'\xff')
            session.sock.setblocking(False)
            try:
                session.sock.recv(1 << 16)
            except BlockingIOError:
                pass
            session.sock.settimeout(qmptest.TIMEOUT)
    qmp.cmd('query-version')
    # The last session's end is seen in the server's next turns.
    until(lambda: descriptors() == before, 'the descriptors of those who have left')
