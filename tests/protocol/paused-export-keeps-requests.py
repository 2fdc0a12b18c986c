#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While an export is paused its image is at rest and complete, and requests wait in their order;
they go on when it is resumed.  Who leaves takes them along; who takes his leave gets them done."""
import re
import threading

from controlled import Server, client_of, content, export, failing, until_held
from rawnbd import (DISC, ESHUTDOWN, FLUSH, K, M, READ, TRIM, WRITE, connect, eq, nbdtest,
                    request_bytes, until, until_read)

SLOW = failing('slow', 'inject-error.0.iotype=write', 'inject-error.0.delay-ns=200000000')


def write(client, first, n):
    """Sends writes of so many blocks, each of its own bytes; their cookies."""
    return [client.request(WRITE, i * 4 * K, 4 * K, data=bytes([i % 256]) * 4 * K)
            for i in range(first, first + n)]


def blocks(name):
    data = content(name)
    return [i for i in range(len(data) // (4 * K)) if data[i * 4 * K]]


def paused_while_writes_come(server, qmp):
    """Whatever was answered before the pause was is in the file when it is there."""
    answered = []
    with connect(server, name='busy') as client:
        def read_replies():
            for _ in range(1, 200):
                answered.append(client.receive()[0])

        thread = threading.Thread(target=read_replies)
        thread.start()
        first = write(client, 1, 199)[0]
        eq(qmp.cmd('x-export-pause', id='busy'), {'id': 'busy', 'state': 'paused'}, 'reply')
        before, done = len(answered), blocks('busy')
        at_rest = content('busy')
        # Some of them may still have been on their way.
        until_held(qmp, 199 - len(done), export='busy')
        assert {c - first + 1 for c in answered[:before]} <= set(done), 'answered, and not there'
        eq(content('busy'), at_rest, 'the file of a paused export')
        qmp.cmd('x-export-resume', id='busy')
        thread.join()
        eq(len(blocks('busy')), 199, 'blocks that were written')


def waits_for_slow_writes(server, qmp):
    with connect(server, name='slow') as client:
        client.request(WRITE, 0, 4 * K, data=b's' * 4 * K)
        until(lambda: client_of(qmp, export='slow')['in-flight'] or not client.silent(),
              'the write to begin')
        qmp.cmd('x-export-pause', id='slow')
        eq(content('slow')[:4 * K], b's' * 4 * K, 'what was under way')
        eq(client.receive()[1].error, 0, 'error')
        qmp.cmd('block-export-del', id='slow', mode='hard')


def held_in_order(server, qmp):
    qmp.cmd('x-export-pause', id='a')
    with connect(server, name='a') as client, connect(server, name='b') as other:
        cookies = write(client, 1, 20)
        cookies += [client.request(READ, 4 * K, 4 * K), client.request(FLUSH),
                    client.request(TRIM, 0, 4 * K)]
        eq(client.call(99).error, 22, 'what is refused is refused at once')
        until_held(qmp, 23, export='a')
        other.pwrite(0, b'other exports go on')
        assert client.silent() and not any(content('a')), 'something has happened'
        eq(client_of(qmp, export='a')['in-flight'], 23, 'in flight')
        qmp.cmd('x-export-drain')
        assert client.silent(), 'a drain let go what is held'
        qmp.cmd('x-export-resume', id='a')
        for _ in cookies:
            eq(client.receive()[1].error, 0, 'error')
        started = re.findall(r'export "a".* request ([0-9a-f]+): (?:write|read|flush|trim) ',
                             server.log())
        eq([int(c, 16) for c in started][-23:], cookies, 'the order in which they began')


def gone_with_their_client(server, qmp):
    before = content('a')
    qmp.cmd('x-export-pause', id='a')
    with connect(server, name='a') as client:
        write(client, 40, 5)
        until_held(qmp, 5, export='a')
    gone = qmp.wait_event('X_CLIENT_DISCONNECTED', lambda data: data['export'] == 'a')
    eq(gone['reason'], 'closed', 'reason')
    with connect(server, name='a') as client:
        write(client, 50, 5)
        client.request(DISC)
        until_held(qmp, 5, export='a')
        until_read(client)
        qmp.cmd('x-export-resume', id='a')
        for _ in range(5):
            eq(client.receive()[1].error, 0, 'error')
        client.expect_close()
    eq(blocks('a')[-5:], list(range(50, 55)), 'blocks of the one who took his leave')
    eq(content('a')[:200 * K], before[:200 * K], 'blocks of the one who left')


def ended_while_held(server, qmp):
    for force in False, True:
        qmp.cmd('x-export-pause', id='a')
        with connect(server, name='a') as client:
            cookies = write(client, 60, 3)
            until_held(qmp, 3, export='a')
            eq(qmp.cmd('x-client-kick', export='a', force=force), {'kicked': 1}, 'reply')
            for _ in cookies if not force else ():
                eq(client.receive()[1].error, ESHUTDOWN, 'error')
            client.expect_close()
        qmp.wait_event('X_CLIENT_DISCONNECTED', lambda data: data['reason'] == 'kicked')
        qmp.cmd('x-export-resume', id='a')
    assert 60 not in blocks('a')


def refused_where_it_ends():
    """What is resumed for a connection that is being ended leaves nothing that others wait for."""
    with Server(['--threads=1', export('a', size=16 * M)]) as server, server.qmp() as qmp, \
            connect(server, name='a') as client:
        for _ in range(4):              # the client takes none of it: so the end waits for that
            client.request(READ, 0, 100 * K)
        until(lambda: client_of(qmp, export='a')['bytes-read'] == 400 * K, 'the reads to end')
        qmp.cmd('x-export-pause', id='a')
        write(client, 0, 20)
        until_held(qmp, 20, export='a')
        qmp.cmd('x-client-kick', export='a')
        qmp.cmd('x-export-resume', id='a')
        with connect(server, name='a') as heir:
            heir.pwrite(0, b'h' * 512)


def others_keep_their_memory(server, qmp):
    """All that the clients of a paused export can have is what each client has of its own."""
    qmp.cmd('x-export-pause', id='a')
    clients = [connect(server, name='a') for _ in range(4)]
    threads = [threading.Thread(target=write_much, args=(client, )) for client in clients]
    for thread in threads:
        thread.start()
    with connect(server, name='big') as other:
        until(lambda: min(c['held'] for c in qmp.cmd('x-query-clients', export='a')) >= 4,
              'four held requests of each client')
        for c in qmp.cmd('x-query-clients', export='a'):
            assert c['memory'] <= 2 * M, c
        other.pwrite(0, bytes(32 * M))
    qmp.cmd('x-export-resume', id='a')
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def many_go_on():
    """More than may run at a time."""
    with Server(['--threads=1', '--image-opts', 'driver=null-co']) as server, server.qmp() as qmp:
        qmp.cmd('x-export-pause', id='')
        clients = [connect(server) for _ in range(34)]
        for client in clients:
            client.send(request_bytes(READ, 0, 512, cookie=7) * 256)
        until(lambda: sum(c['held'] for c in qmp.cmd('x-query-clients')) == 34 * 256,
              'all requests to be held')
        assert all(client.silent() for client in clients), 'something has happened'
        qmp.cmd('x-export-resume', id='')
        for client in clients:
            client.read(256 * (16 + 512))
            client.close()


def same_id_again(server, qmp):
    """Clients of a removed export are not out of reach when there is another one of its id."""
    def again():
        qmp.cmd('block-export-del', id='gone', mode='hide')
        qmp.cmd('x-export-add', name='gone', image=nbdtest.disk(M, 'new'), format='raw')
        eq([e['state'] for e in qmp.cmd('x-query-exports') if e['id'] == 'gone'],
           ['removed', 'paused'], 'states')

    with connect(server, name='gone') as old:
        qmp.cmd('x-export-pause', id='gone')
        write(old, 1, 2)
        until_held(qmp, 2, export='gone')
        again()
        with connect(server, name='gone') as new:
            write(new, 3, 1)
            assert old.silent() and new.silent(), 'something has happened'
            qmp.cmd('x-export-resume', id='gone')
            for client in old, old, new:
                eq(client.receive()[1].error, 0, 'error')
            eq((blocks('gone'), blocks('new')), ([1, 2], [3]), 'blocks')
            qmp.cmd('x-export-pause', id='gone')
            write(old, 4, 1)
            qmp.cmd('block-export-del', id='gone', mode='hard')
            for client in old, new:
                client.expect_close()


def write_much(client):
    """More than the server takes while it is paused, and a write that is too large for that."""
    for _ in range(32):
        client.request(WRITE, 0, 128 * K, data=bytes(128 * K))
    client.request(WRITE, 0, 4 * M, data=bytes(4 * M))
    for _ in range(33):
        eq(client.receive()[1].error, 0, 'error')


many_go_on()
refused_where_it_ends()
with Server(['-vv', '--max-memory=64M', export('a', size=4 * M), export('b'), export('busy'),
             export('gone'), export('big', size=32 * M), SLOW]) as server, server.qmp() as qmp:
    paused_while_writes_come(server, qmp)
    waits_for_slow_writes(server, qmp)
    held_in_order(server, qmp)
    gone_with_their_client(server, qmp)
    ended_while_held(server, qmp)
    others_keep_their_memory(server, qmp)
    same_id_again(server, qmp)
    # What is held when the server is told to end is done.
    qmp.cmd('x-export-pause', id='a')
    with connect(server, name='a') as client:
        cookies = write(client, 70, 30)
        until_held(qmp, 30, export='a')
        server.proc.terminate()
        for _ in cookies:
            eq(client.receive()[1].error, 0, 'error')
        client.expect_close()
    eq(server.wait(), 0, 'exit status')
    eq(blocks('a')[-30:], list(range(70, 100)), 'blocks written at the end')
