#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--log=json: an object a line, whatever names clients send; the trace has every request."""
import json
import re

from rawnbd import OPT_EXPORT_NAME, READ, Client, eq, served

NAME = 'a "b" \\ \t é 😀'

with served('--log=json', '-vv', '--export-name=' + NAME, lives=False) as server:
    with Client(server) as client:
        client.go(NAME)
        client.pwrite(512, bytes(1024))
        eq(client.call(READ, 1 << 40, 1).error != 0, True, 'a read past the end fails')
        client.disconnect()
    with Client(server) as client:
        client.send_option(OPT_EXPORT_NAME, b'x\xff\xc0\x80\xed\xa0\x80"\x01' * 400)
        client.expect_close()
    eq(server.stop(), 0, 'status')
    log = [json.loads(line) for line in server.log().splitlines()]

for entry in log:
    eq(bool(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', entry['time'])), True, entry)
    eq(entry['level'] in ('warning', 'notice', 'info', 'debug'), True, entry)

ours = [e for e in log if e.get('export') == NAME]
eq([e['message'].split()[0] for e in ours],
   ['connected', 'request', 'request', 'refused:', 'disconnected'], 'about the export')
eq(len({e['client'] for e in ours}), 1, 'client')
begin, end = ours[1:3]
eq((begin['level'], begin['offset'], begin['length'], begin['flags']), ('debug', 512, 1024, 0),
   'begin')
eq((end['cookie'], end['error'], end['duration_us'] >= 0), (begin['cookie'], 0, True), 'end')
eq((ours[4]['requests'], ours[4]['bytes_read'], ours[4]['bytes_written']), (2, 0, 1024), 'sum')
eq(any('x\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"\x01' in e['message'] for e in log), True, log)
