#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An export that requires TLS does not exist for those without; the others are served as ever."""
from rawnbd import (ERR_INVALID, ERR_TLS_REQD, ERR_UNKNOWN, M, OPT_EXPORT_NAME, OPT_GO, OPT_INFO,
                    OPT_LIST, OPT_LIST_META, OPT_SET_META, OPT_STARTTLS, REP_ACK, Client, eq,
                    info_data, nbdtest)
from rawtls import TlsClient, context, make_certs

folder = make_certs()
images = [nbdtest.disk(M, name) for name in ('open.img', 'closed.img')]
exports = [f'--export=name=open,image={images[0]}',
           f'--export=name=closed,image={images[1]},tls=require']


def listed(client):
    return [data[4:].decode() for kind, data in client.option(OPT_LIST) if kind != REP_ACK]


with nbdtest.Server(['--format=raw', '--tls=on', '--tls-certs=' + folder, *exports]) as server:
    with TlsClient(server) as client:
        eq(listed(client), ['open'], 'the list')
        for option in OPT_INFO, OPT_GO:
            hidden, absent = (client.option(option, info_data(name)) for name in ('closed', 'none'))
            eq(hex(hidden[0][0]), hex(ERR_TLS_REQD), f'option {option}')
            eq(hidden, absent, 'an export that is hidden and one that does not exist')
        client.negotiate_structured()
        for option in OPT_LIST_META, OPT_SET_META:
            eq(hex(client.meta(option, 'closed')[0]), hex(ERR_UNKNOWN), f'option {option}')
        client.go('open').disconnect()
    with Client(server) as client:
        client.send_option(OPT_EXPORT_NAME, b'closed')
        client.expect_close()
    with Client(server) as client:
        client.export_name('open').disconnect()

    with TlsClient(server) as client:
        client.starttls(context(folder))
        eq(sorted(listed(client)), ['closed', 'open'], 'the list')
        (kind, _), = client.option(OPT_GO, info_data('none'))
        eq(hex(kind), hex(ERR_UNKNOWN), 'no such export')
        (kind, _), = client.option(OPT_STARTTLS)
        eq(hex(kind), hex(ERR_INVALID), 'a second STARTTLS')
        client.go('closed').disconnect()
