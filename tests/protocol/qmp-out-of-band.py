#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""While a command of the control socket waits for storage that hangs, others are run out of band:
those that look, and those that end clients, the pause or the server.  What is in-band keeps its
order, and is bounded."""
import contextlib
import json
import signal

from controlled import Server, Storage, export
from rawnbd import K, READ, WRITE, connect, eq, grew_less_than, qmptest, rss

OOB = {'query-block-exports', 'query-block-jobs', 'query-blockstats', 'query-commands', 'query-jobs',
       'query-qmp-schema', 'query-version', 'quit', 'x-client-kick', 'x-export-resume',
       'x-log-level', 'x-query-clients', 'x-query-exports', 'x-query-server', 'x-query-throttle'}
IN_FLIGHT = 8                    # in-band commands that leave room for one out of band
FLOODS, A_FLOOD = 8, 500
LISTS = 100000                   # "[], " has four bytes; parsed, more than 100


def says_nothing(qmp):
    """The server has had turns enough to say something, had it anything to say."""
    with server.qmp(oob=True) as other:
        for _ in range(3):
            other.oob('query-version')
    qmp.sock.setblocking(False)
    try:
        while (line := qmp.receive()) and 'event' in line:
            qmp.take_event(line)
        return False
    except BlockingIOError:
        return True
    finally:
        qmp.sock.settimeout(qmptest.TIMEOUT)


def fails(qmp, command, number, *words):
    try:
        result = qmp.result(command, number)
    except qmptest.QmpError as e:
        assert all(word in e.desc for word in words), e
        return
    raise AssertionError('%s: %r' % (command, result))


def refusals():
    """As QEMU words them; the id comes back with all."""
    with server.qmp() as qmp:
        qmp.send_line({'exec-oob': 'query-version', 'id': 1})
        error = qmp.reply()['error']
        eq((error['class'], "'exec-oob' is unexpected" in error['desc']), ('GenericError', True),
           error)
        eq({n for n, c in qmp.schema.commands.items() if c.get('allow-oob')}, OOB, 'allow-oob')
    with server.qmp(oob=True) as qmp:
        for line, cls, word in (
                ({'exec-oob': 'x-export-pause', 'arguments': {'id': 'far'}}, 'GenericError',
                 'The command x-export-pause does not support OOB'),
                ({'exec-oob': 'qmp_capabilities'}, 'GenericError',
                 'The command qmp_capabilities does not support OOB'),
                ({'execute': 'qmp_capabilities'}, 'CommandNotFound', 'already complete'),
                ({'exec-oob': 'qery-version'}, 'CommandNotFound', 'query-version?'),
                ({'exec-oob': 'query-version', 'execute': 'query-version'}, 'GenericError',
                 "QMP input member 'execute' clashes with 'exec-oob'"),
                ({'execute': 'query-version', 'exec-oob': 'query-version'}, 'GenericError',
                 "QMP input member 'execute' clashes with 'exec-oob'"),
                ({'exec-oob': 7}, 'GenericError', "'exec-oob' must be a string"),
                ({'exec-oob': 'query-version', 'arguments': {'a': 1}}, 'GenericError', "'a'"),
                ({'exec-oob': 'x-export-resume', 'arguments': {'id': 'no'}}, 'DeviceNotFound',
                 'no')):
            qmp.send_line({**line, 'id': ['x']})
            reply = qmp.reply()
            eq((reply['id'], reply['error']['class'], word in reply['error']['desc']),
               (['x'], cls, True), reply)
        eq(qmp.cmd('query-version'), qmp.oob('query-version'), 'in-band and out of band')


def write_hangs(storage, client):
    storage.hang()
    client.request(WRITE, 0, 4 * K, data=bytes(4 * K))
    while not storage.hangs():
        pass


def paused(waiting):
    """A pause that waits for a write that hangs: its id, once it waits."""
    number = waiting.send('x-export-pause', {'id': 'far'})
    waiting.wait_event('X_EXPORT_STATE', lambda data: data['state'] == 'paused')
    return number


def look(qmp):
    """All that looks has an answer."""
    for command in OOB - {'quit', 'x-client-kick', 'x-export-resume'}:
        qmp.oob(command, **({'id': 'far'} if command == 'x-query-throttle' else {}))
    state = {e['id']: (e['state'], e['in-flight']) for e in qmp.oob('x-query-exports')}
    eq(state['far'], ('paused', 1), 'export')


def answered_before_the_pause(storage, client):
    with server.qmp(oob=True) as waiting, server.qmp() as plain, connect(server, name='a') as idle:
        write_hangs(storage, client)
        pause = paused(waiting)
        with server.qmp(oob=True) as other:
            look(other)
            kicked = [c for c in other.oob('x-query-clients') if c['export'] == 'a'][0]['id']
            eq(other.oob('x-client-kick', id=kicked, force=True), {'kicked': 1}, 'reply')
            idle.expect_close()
        look(waiting)
        queued = [(c, waiting.send(c, {})) for c in ['query-version', 'query-block', 'nonesuch',
                                                     'query-jobs', 'x-export-drain']]
        late = plain.send('query-version', {})
        waiting.send_line('no object')
        waiting.oob('query-version')
        assert says_nothing(waiting) and says_nothing(plain), 'something overtook the pause'
        storage.go_on()
        eq(waiting.result('x-export-pause', pause), {'id': 'far', 'state': 'paused'}, 'pause')
        for command, number in queued:
            if command == 'nonesuch':
                fails(waiting, command, number, 'nonesuch')
            else:
                waiting.result(command, number)
        eq('object' in waiting.reply()['error']['desc'], True, 'in its order, too')
        plain.result('query-version', late)
        eq(waiting.oob('x-export-resume', id='far')['state'], 'running', 'state')
    eq(client.receive()[1].error, 0, 'error')


def refused_ones_are_small(storage, client):
    """What a client need not be told keeps no memory while its refusal waits for its turn."""
    lists = {'a': [[]] * LISTS}
    refused = [{'execute': 'query-version', 'arguments': lists, 'id': 'refused'},
               {'execute': 'query-version', **lists, 'id': 'refused'}]
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(server.qmp(oob=True)) for _ in refused * 3]
        write_hangs(storage, client)
        pause = paused(waiting[0])
        before = rss(server)
        for i, each in enumerate(waiting):
            each.send('query-version', {})
            each.send_line(refused[i % len(refused)])
            each.oob('query-version')
        # Parsed, each has taken more than that.
        grew_less_than(len(waiting) * LISTS * 80, server, before)
        storage.go_on()
        waiting[0].result('x-export-pause', pause)
        for each in waiting:
            each.reply()
            reply = each.reply()
            eq((reply['id'], 'error' in reply), ('refused', True), reply)
        waiting[0].oob('x-export-resume', id='far')
    eq(client.receive()[1].error, 0, 'error')


def bounded(storage, client):
    """A client may have so many in flight; of more none is seen."""
    with server.qmp(oob=True) as waiting:
        write_hangs(storage, client)
        numbers = [paused(waiting)]
        numbers += [waiting.send('query-version', {}) for _ in range(IN_FLIGHT - 1)]
        waiting.oob('query-version')
        numbers += [waiting.send('query-version', {})]
        last = waiting.send('query-version', {}, 'exec-oob')
        assert says_nothing(waiting), 'one too many was read'
        storage.go_on()
        order = [waiting.reply()['id'] for _ in numbers + [last]]
        eq([n for n in order if n != last], numbers, 'order')
        eq((order[0], sorted(order)), (numbers[0], numbers + [last]), 'order')
        # Gone with commands that wait.
        waiting.oob('x-export-resume', id='far')
        eq(client.receive()[1].error, 0, 'error')
        write_hangs(storage, client)
        paused(waiting)
        for _ in range(3):
            waiting.send('x-export-drain', {})
    with server.qmp(oob=True) as other:
        eq(other.oob('x-export-resume', id='far')['state'], 'running', 'state')
        storage.go_on()
        eq(client.receive()[1].error, 0, 'error')
        other.cmd('x-export-drain')


def as_before(storage, client):
    """A session that has not asked for more is not read while its command runs, and loses nothing."""
    with server.qmp() as plain, server.qmp(oob=True) as other:
        write_hangs(storage, client)
        names = ['query-version', 'query-jobs', 'query-commands', 'x-query-server']
        lines = [json.dumps({'execute': name, 'id': name}) for name in names]
        plain.sock.sendall(('{"execute": "x-export-drain", "id": 0}' + ''.join(lines[:2])).encode())
        assert says_nothing(plain), 'the drain does not wait'
        client.request(READ, 0, 4 * K)
        while sum(c['held'] for c in other.oob('x-query-clients')) != 1:
            pass
        plain.sock.sendall(''.join(lines[2:]).encode())
        assert says_nothing(plain), 'something overtook the drain'
        storage.go_on()
        eq([plain.reply()['id'] for _ in range(5)], [0, *names], 'ids')
    for _ in range(2):
        eq(client.receive()[1].error, 0, 'error')


def resumed(storage, client):
    """The pause is over at once; requests that it held run."""
    with server.qmp(oob=True) as waiting, connect(server, name='far') as other:
        write_hangs(storage, client)
        pause = paused(waiting)
        other.request(READ, 0, 4 * K)
        while sum(c['held'] for c in waiting.oob('x-query-clients')) != 1:
            pass
        eq(waiting.oob('x-export-resume', id='far'), {'id': 'far', 'state': 'running'}, 'resume')
        fails(waiting, 'x-export-pause', pause, 'was resumed before')
        while any(c['held'] for c in waiting.oob('x-query-clients')):
            pass
        storage.go_on()
        for each in client, other:
            eq(each.receive()[1].error, 0, 'error')


def inside_the_library(storage, client):
    """Waits that are none of the server's own: a flush, the end of an image."""
    with server.qmp(oob=True) as waiting:
        for command in 'x-export-drain', 'eject':
            client.pwrite(0, bytes(4 * K))
            storage.hang()
            number = waiting.send(command, {'id': 'far'})
            while not storage.hangs():
                waiting.oob('query-version')
            waiting.oob('x-query-clients')
            storage.go_on()
            waiting.result(command, number)
        with connect(server, name='two') as other:
            other.pwrite(0, bytes(4 * K))
        waiting.wait_event('X_CLIENT_DISCONNECTED', lambda data: data['export'] == 'two')
        storage.hang()
        waiting.cmd('block-export-del', id='two')
        while not storage.hangs():
            eq([e['id'] for e in waiting.oob('x-query-exports') if e['id'] == 'two'], [], 'it goes')
        storage.go_on()
        waiting.wait_event('BLOCK_EXPORT_DELETED')


def turns():
    """Many who flood the server out of band do not keep it from what is in-band."""
    line = json.dumps({'exec-oob': 'x-query-clients', 'id': 0}).encode() + b'\n'
    with contextlib.ExitStack() as stack:
        floods = [stack.enter_context(server.qmp(oob=True)) for _ in range(FLOODS)]
        plain = stack.enter_context(server.qmp())
        server.proc.send_signal(signal.SIGSTOP)
        for flood in floods:
            flood.sock.sendall(line * A_FLOOD)
        number = plain.send('query-version', {})
        server.proc.send_signal(signal.SIGCONT)
        plain.result('query-version', number)
        last = [flood.send('query-version', {}, 'exec-oob') for flood in floods]
        done = 0
        for flood in floods:
            flood.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while flood.reply():
                    done += 1
            flood.sock.settimeout(qmptest.TIMEOUT)
        assert done < FLOODS * A_FLOOD // 2, f'it came after {done} of {FLOODS * A_FLOOD}'
        for flood, number in zip(floods, last):
            while flood.reply()['id'] != number:
                pass


def quits(storage):
    """In order: what was in flight is answered, and what waits is not begun."""
    with server.qmp(oob=True) as waiting, server.qmp() as plain, \
            connect(server, name='third') as client:
        write_hangs(storage, client)
        number = waiting.send('x-export-pause', {'id': 'third'})
        waiting.wait_event('X_EXPORT_STATE', lambda data: data['id'] == 'third')
        queued = [(c, waiting.send(c, {})) for c in ['query-version', 'x-export-drain', 'nonesuch']]
        with server.qmp(oob=True) as other:
            late = plain.send('query-version', {})
            waiting.oob('query-version')
            other.oob('query-version')
            eq(other.oob('quit'), {}, 'quit')
        fails(waiting, 'x-export-pause', number, 'is ending')
        for command, number in queued:
            fails(waiting, command, number, 'nonesuch' if command == 'nonesuch' else 'is ending')
        fails(plain, 'query-version', late, 'is ending')
        eq(waiting.wait_event('SHUTDOWN')['reason'], 'host-qmp-quit', 'event')
        eq(waiting.receive(), None, 'end')
        storage.go_on()
        eq(client.receive()[1].error, 0, 'error')
        client.expect_close()
    eq(server.wait(), 0, 'status')


with Storage('far', 'two', 'third') as storage, \
        Server([storage.export('far'), storage.export('two'), storage.export('third'),
                export('a')]) as server:
    refusals()
    turns()
    with connect(server, name='far') as client:
        answered_before_the_pause(storage, client)
        refused_ones_are_small(storage, client)
        bounded(storage, client)
        as_before(storage, client)
        resumed(storage, client)
        inside_the_library(storage, client)
    quits(storage)
