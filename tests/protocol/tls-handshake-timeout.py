#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TLS handshake that does not come to its end is cut off by --handshake-timeout."""
import ssl
import time

from rawnbd import eq
from rawtls import TlsClient, connect_tls, served_tls


def hello(ctx):
    """The first bytes of a handshake."""
    out = ssl.MemoryBIO()
    try:
        ctx.wrap_bio(ssl.MemoryBIO(), out, server_hostname='localhost').do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


with served_tls('--handshake-timeout=1', data=b'here') as (server, ctx), \
        connect_tls(server, ctx) as quiet:
    with TlsClient(server) as mute, TlsClient(server) as half, TlsClient(server) as slow, \
            TlsClient(server) as stuck:
        for client in mute, half, slow, stuck:
            client.ask_for_tls()
        half.send(hello(ctx)[:100])
        stuck.send(hello(ctx))          # and then nothing, though the server has answered
        start = time.monotonic()
        data = hello(ctx)
        for at in range(5):             # alive all the time, and too slow
            slow.send(data[at:at + 1])
            time.sleep(0.15)
        for client in mute, half, slow:
            client.expect_close()
        while stuck.sock.recv(4096):
            pass
        assert time.monotonic() - start < 10
    eq(quiet.pread(0, 4), b'here', 'a client in the transmission phase')
    quiet.disconnect()
