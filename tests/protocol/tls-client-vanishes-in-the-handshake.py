#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that leave anywhere in the TLS handshake leave no descriptor and little memory behind."""
import os
import ssl

from rawnbd import M, Closed, grew_less_than, rss
from rawtls import TlsClient, connect_tls, served_tls


def visit(server, ctx, client_bytes):
    """Does the handshake and leaves after so many bytes to the server; False if it was done."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ctx.wrap_bio(into, out, server_hostname='localhost')
    with TlsClient(server) as client:
        client.ask_for_tls()
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            data = out.read()
            client.send(data[:client_bytes])
            if client_bytes < len(data) or done:
                return not done or client_bytes < len(data)
            client_bytes -= len(data)
            into.write(client.sock.recv(65536))


def descriptors(server):
    return len(os.listdir(f'/proc/{server.proc.pid}/fd'))


with served_tls('--tls-verify-peer') as (server, ctx):
    for _ in range(10):
        connect_tls(server, ctx).disconnect()
    before, at = rss(server), 0
    while visit(server, ctx, at):
        at += 23
    with connect_tls(server, ctx) as last:
        want = None
        while want != descriptors(server) or want > 40:     # the last of them may just be closing
            want = descriptors(server)
            last.pread(0, 512)
        grew_less_than(16 * M, server, before)
        last.disconnect()
