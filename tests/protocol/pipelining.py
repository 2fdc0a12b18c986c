#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of mixed requests in flight are each answered once, with their own cookie and data."""
import random
import threading

from rawnbd import CACHE, FLUSH, READ, WRITE, eq, every_form, served

COUNT, BLOCK = 600, 8192

with served(data=b''.join(bytes([i % 251]) * BLOCK for i in range(COUNT))) as server:
    for client in every_form(server):
        rng = random.Random(7)
        sent = {}

        def send_all(client=client, rng=rng, sent=sent):
            cookies = [rng.getrandbits(64) for _ in range(COUNT)]
            for i, cookie in enumerate(cookies):
                cmd = rng.choice([READ, READ, WRITE, FLUSH, CACHE])
                sent[cookie] = (cmd, i)
                data = bytes([i % 251]) * (BLOCK if cmd == WRITE else 0)
                client.request(cmd, 0 if cmd == FLUSH else i * BLOCK, 0 if cmd == FLUSH else BLOCK,
                               data=data, cookie=cookie)

        sender = threading.Thread(target=send_all)
        sender.start()
        for _ in range(COUNT):
            cookie, reply = client.receive()
            cmd, i = sent.pop(cookie)
            eq(reply.error, 0, f'command {cmd}')
            if cmd == READ:
                eq(bytes(reply.data) == bytes([i % 251]) * BLOCK, True, f'block {i}')
        sender.join()
        eq(sent, {}, 'left over')
        client.disconnect()
