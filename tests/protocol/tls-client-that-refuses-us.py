#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that does not trust the server's certificate: the log tells it, in each version."""
import ssl

from rawtls import TlsClient, connect_tls, context, make_certs, served_tls

stranger = context(make_certs('others'), certificate=False)
with served_tls() as (server, ctx):
    for count, version in enumerate((ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), 1):
        stranger.minimum_version = stranger.maximum_version = version
        with TlsClient(server) as client:
            try:
                client.starttls(stranger)
                raise AssertionError('it trusts a stranger')
            except ssl.SSLError:
                pass
        while server.log().count('refused us') < count:
            connect_tls(server, ctx).disconnect()
