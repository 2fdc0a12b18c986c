#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that does not trust the server's certificate: the log tells its reason."""
import ssl

from rawtls import TlsClient, connect_tls, context, make_certs, served_tls

stranger = context(make_certs('others'), certificate=False)
with served_tls() as (server, ctx):
    with TlsClient(server) as client:
        try:
            client.starttls(stranger)
            raise AssertionError('it trusts a stranger')
        except ssl.SSLError:
            pass
    while 'refused us' not in server.log():
        connect_tls(server, ctx).disconnect()
