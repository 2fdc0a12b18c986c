#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is sent in the clear behind STARTTLS is not taken for something that was encrypted."""
import struct

from rawnbd import IHAVEOPT, OPT_LIST, OPT_STARTTLS, Closed, eq
from rawtls import TlsClient, connect_tls, served_tls


def option(number):
    return struct.pack('>QII', IHAVEOPT, number, 0)


with served_tls() as (server, ctx):
    with TlsClient(server) as client:
        client.send(option(OPT_STARTTLS) + option(OPT_LIST))        # in one segment
        client.option_reply(OPT_STARTTLS)
        client.expect_close()
    assert 'in the clear' in server.log(), server.log()

    with TlsClient(server) as client:
        client.send(option(OPT_STARTTLS) + option(OPT_LIST)[:5])
        client.option_reply(OPT_STARTTLS)
        client.expect_close()

    with TlsClient(server) as client:
        client.ask_for_tls()
        client.send(option(OPT_LIST))                               # instead of a handshake
        try:
            answer = client.read(3)
            eq(answer[0], 21, 'nothing but an alert')
        except Closed:
            pass
    connect_tls(server, ctx).disconnect()
