#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules say who may enter an export, and who may only read; to others it does not exist."""
import os
import re

from rawnbd import (EPERM, M, OPT_EXPORT_NAME, OPT_GO, OPT_LIST, OPT_LIST_META, READ, READ_ONLY,
                    SEND_WRITE_ZEROES, WRITE, Client, connect, eq, nbdtest)

UID, GID = os.getuid(), os.getgid()
RULES = {
    'mine': f'allow=uid:{UID}',
    'group': f'allow=gid:{GID}',
    'local': 'allow=net:127.0.0.0/8,allow-read-only=any',
    'six': 'allow=net:::1',
    'mapped': 'allow=net:::ffff:127.0.0.0/104',
    'one': 'allow=net:127.0.0.1,allow=uid:4000000000',
    'look': 'allow-read-only=any',
    'nobody': 'allow=uid:4000000000,allow=gid:4000000000,allow=net:192.0.2.0/24',
    'rest': '',
}
UNIX = {'mine', 'group', 'local', 'look'}
IPV4 = {'local', 'mapped', 'one', 'look'}
IPV6 = {'local', 'six', 'look'}


def names(where):
    with Client(where) as client:
        replies = client.option(OPT_LIST)[:-1]
    return {data[4:4 + int.from_bytes(data[:4], 'big')].decode() for _, data in replies}


def port_of(server, pattern):
    return int(re.search(rf'listening on {pattern}:(\d+)', server.log())[1])


def has_no(where, name):
    """Every question about it is answered as for a name that there is not."""
    for question in (lambda c, n: c.info(n), lambda c, n: c.info(n, option=OPT_GO),
                     lambda c, n: c.negotiate_structured().meta(OPT_LIST_META, n)):
        with Client(where) as client, Client(where) as other:
            eq(question(client, name), question(other, 'no such export'), name)
    with Client(where) as client:
        client.send_option(OPT_EXPORT_NAME, name.encode())
        client.expect_close()


def enters(where, name, read_only):
    with connect(where, name=name) as client:
        eq(bool(client.flags & READ_ONLY), read_only, f'{name}: read-only')
        eq(bool(client.flags & SEND_WRITE_ZEROES), not read_only, f'{name}: zeroes')
        eq(client.call(READ, 0, 512).error, 0, 'read')
        eq(client.call(WRITE, 0, 512, data=bytes(512)).error, EPERM if read_only else 0, 'write')


exports = []
for export, rules in RULES.items():
    image = nbdtest.disk(M, export)
    exports.append(f'--export=name={export},format=raw,image={image}' + (rules and f',{rules}'))

with nbdtest.Server(['-v', '--bind=127.0.0.1:0', '--bind=[::1]:0', '--allow=net:127.0.0.2',
                     *exports]) as server:
    ipv4 = ('127.0.0.1', port_of(server, r'127\.0\.0\.1'))
    ipv6 = ('::1', port_of(server, r'\[::1\]'))
    for where, allowed in (server, UNIX), (ipv4, IPV4), (ipv6, IPV6):
        eq(names(where), allowed, 'listed')
        for name in RULES:
            if name in allowed:
                enters(where, name, name == 'look' or name == 'local' and where != ipv4)
            else:
                has_no(where, name)
    assert 'export "nobody"' in server.log() and 'no rule allows' in server.log(), server.log()
