#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client asks for while the server ends is ESHUTDOWN, in every form of replies, and what was
in flight is answered."""
import signal

from rawnbd import ESHUTDOWN, G, TRIM, WRITE, connect, eq, refused, served, until, until_read

SLOW = f'driver=null-co,size={G},latency-ns=1000000000'
FORMS = {}, {'structured': True}, {'extended': True}
with served('--image-opts', image=SLOW, fmt=None, lives=False) as server:
    clients = [connect(server, **form) for form in FORMS]
    for client in clients:
        client.request(WRITE, 0, 4096, data=bytes(4096))
        until_read(client)
    server.proc.send_signal(signal.SIGTERM)
    until(lambda: refused(server), 'the server to listen no more')
    for client in clients:
        client.request(TRIM, 0, 512)
        client.request(WRITE, 0, 20000, data=bytes(20000))
    for client in clients:
        replies = [client.receive()[1] for _ in range(3)]
        eq(sorted(reply.error for reply in replies), [0, ESHUTDOWN, ESHUTDOWN], 'errors')
        for reply in replies:
            # rawnbd holds that chunks have a text.
            eq(reply.simple, not client.extended and (not client.structured or not reply.error),
               'the form')
        client.expect_close()
    eq(server.wait(), 0, 'exit status')
