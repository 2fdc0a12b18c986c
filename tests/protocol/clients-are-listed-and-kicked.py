#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""x-query-clients tells who is there and what each has done, x-client-kick ends connections, and
events tell who comes and goes; numbers are right after any end, a killed client's too."""
import os
import re
import signal
import time

from controlled import Server, client_of, export
from rawnbd import K, M, READ, WRITE, Client, connect, eq, until

ADDRESS = '127.0.0.1'


def port_of(server):
    with open(server.output_path) as f:
        return int(re.search(r'nbd://[^"]*:(\d+)/', f.read()).group(1))


def gone(qmp, **members):
    data = qmp.wait_event('X_CLIENT_DISCONNECTED')
    assert data.items() >= members.items(), (data, members)


def nobody_is_left(qmp):
    eq(qmp.cmd('x-query-clients'), [], 'clients')
    for e in qmp.cmd('x-query-exports'):
        eq((e['clients'], e['in-flight']), (0, 0), e['id'])


def described(server, qmp):
    eq(qmp.cmd('x-query-clients'), [], 'clients')
    with Client(server):
        eq(client_of(qmp)['state'], 'handshake', 'state')
        eq(client_of(qmp)['requests'], 0, 'requests')
        eq(qmp.cmd('x-query-clients', export='a'), [], 'clients of an export')
    until(lambda: not qmp.cmd('x-query-clients'), 'the client to go')
    eq([e['event'] for e in qmp.events], [], 'events about clients that have entered no export')
    with connect(server, name='a') as client:
        joined = qmp.wait_event('X_CLIENT_CONNECTED')
        client.pwrite(0, bytes(3 * K))
        client.pread(0, 5 * K)
        client.call(READ, 2 * M, 1)
        info = client_of(qmp, export='a')
        want = {'id': joined['id'], 'export': 'a', 'peer': joined['peer'], 'uid': os.getuid(),
                'pid': os.getpid(), 'state': 'transmission', 'tls': False, 'read-only': False,
                'requests': 3, 'errors': 1, 'bytes-read': 5 * K, 'bytes-written': 3 * K,
                'in-flight': 0, 'held': 0, 'throttled': 0}
        assert info.items() >= want.items(), info
        assert abs(time.time() - info['since']) < 60, info
        client.disconnect()
    gone(qmp, id=joined['id'], export='a', reason='left')
    with connect(server, name='ro') as client:
        assert client_of(qmp)['read-only'] and client_of(qmp)['id'] > joined['id']
    gone(qmp, export='ro', reason='closed')
    with connect(server, name='a') as client:
        client.send(b'nonsense' * 4)
        client.expect_close()
    gone(qmp, reason='misbehaved')
    nobody_is_left(qmp)


def killed(server, qmp):
    """A client that dies in the midst of many requests."""
    ready, child_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = connect(server, name='a')
            for i in range(200):
                client.request(WRITE, i * 4 * K, 4 * K, data=bytes(4 * K))
            client.request(READ, 0, M)
            os.write(child_ready, b'x')
            signal.pause()
        finally:
            os._exit(1)
    os.close(child_ready)
    eq(os.read(ready, 1), b'x', 'the client has come that far')
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    gone(qmp, export='a', peer=f'unix pid {pid} uid {os.getuid()}')
    nobody_is_left(qmp)


def kicked(server, qmp):
    tcp = (ADDRESS, port_of(server))
    clients = [connect(server, name=name) for name in ('a', 'a', 'a', 'ro')]
    clients += [connect(tcp, name='a'), Client(tcp)]
    ids = {c['id']: c['peer'] for c in qmp.cmd('x-query-clients')}
    eq(len(ids), 6, 'clients')
    first = min(ids)
    for name, args, ends in (
            ('id', {'id': first}, [0]), ('peer', {'peer': ADDRESS}, [4, 5]),
            ('export and id', {'export': 'ro', 'id': first + 3}, [3]),
            ('export', {'export': 'a', 'force': True}, [1, 2])):
        eq(qmp.cmd('x-client-kick', **args), {'kicked': len(ends)}, name)
        for i in ends:
            clients[i].expect_close()
    eq(qmp.cmd('x-client-kick', export='a'), {'kicked': 0}, 'reply')
    eq(qmp.cmd('x-client-kick', peer='unix pid 1'), {'kicked': 0}, 'reply')
    qmp.fails('x-client-kick')
    qmp.fails('x-client-kick', id=first)
    qmp.fails('x-client-kick', id=0)
    qmp.fails('x-client-kick', 'DeviceNotFound', export='nope')
    for _ in range(5):
        gone(qmp, reason='kicked')
    until(lambda: not qmp.cmd('x-query-clients'), 'all clients to go')
    nobody_is_left(qmp)


with Server(['--bind=127.0.0.1:0', export('a'), export('ro', 'read-only=on')]) as server, \
        server.qmp() as qmp:
    described(server, qmp)
    killed(server, qmp)
    kicked(server, qmp)
