#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands may be cut anywhere or come many at once; after wrong JSON the session goes on."""
import json

from rawnbd import eq, nbdtest, qmptest

ONE = b'{"execute": "query-version", "id": "}]\\"{[\\\\\\u00e9\xc3\xa9"}'
TWO = b'\t{"execute":\r\n"query-version","arguments":{},"id":[[],{"a":"b"},-1.5e3,null]}\n'


def expect_ids(qmp, *ids):
    for each in ids:
        reply = qmp.reply()
        eq((reply.get('id'), 'return' in reply), (each, True), reply)


def expect_error(qmp, *words):
    error = qmp.reply()['error']
    eq(error['class'], 'GenericError', error)
    for word in words:
        eq(word in error['desc'], True, (word, error))


with qmptest.Server(['--format=raw', nbdtest.disk(1 << 20)]) as server, server.qmp() as qmp:
    send = qmp.sock.sendall
    ids = [json.loads(each)['id'] for each in (ONE, TWO)]
    text = ONE + TWO

    for byte in text:
        send(bytes([byte]))
    expect_ids(qmp, *ids)
    for i in range(1, len(text)):
        send(text[:i])
        send(text[i:])
        expect_ids(qmp, *ids)
    send(text * 500)
    expect_ids(qmp, *(ids * 500))

    # What is wrong, what the error says, and what of it is left over for the next value.
    for wrong, word in (
            (b'{"execute": nope}', 'byte'), (b'{"execute": "a" "b"}', 'byte'), (b'{]', 'byte'),
            (b'}', 'byte'), (b']', 'byte'), (b'{"a": 1, "a": 2}', 'uplicate'),
            (b'{"a": "\\q"}', 'byte'), (b'{"a": "\xff', '0xff'), (b'{"a": \x01', '0x01'),
            (b'\xff', '0xff'), (b'{"execute": "query-version\n', '0x0a'), (b'nope ', 'byte'),
            (b'{"a": "\xc3\x28"}', 'byte'), (b'{"a": 1e999}', 'byte'), (b'{"a": "\\u0000"}', 'byte'),
            (b'17 ', 'object'), (b'"text"', 'object'), (b'null ', 'object'), (b'[{}]', 'object')):
        send(wrong + ONE)
        expect_error(qmp, word)
        expect_ids(qmp, ids[0])

    # Words that end only where the next value begins.
    send(b'nope' + ONE + b'12' + TWO)
    expect_error(qmp, 'byte')
    expect_ids(qmp, ids[0])
    expect_error(qmp, 'object')
    expect_ids(qmp, ids[1])

    # Too long or too deep: said at once, and passed by to the end of the value.
    send(b'{"a": "' + bytes(100) .replace(b'\0', b'x') * 20000)
    expect_error(qmp, '1048576 bytes')
    send(b'"}' + ONE)
    expect_ids(qmp, ids[0])
    send(b'[' * 65)
    expect_error(qmp, '64 brackets')
    send(b'[' * 100000 + b']' * 100065 + ONE)
    expect_ids(qmp, ids[0])
    send(b'[' * 1000 + b'\xff' + ONE)
    expect_error(qmp, '64 brackets')
    expect_ids(qmp, ids[0])
    send(b'{"execute": "query-version", "id": ' + b'[' * 63 + b']' * 63 + b'}')
    eq('return' in qmp.reply(), True, '64 brackets')
