#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that sends writes without end does not hold up the end."""
import threading
import time

from rawnbd import FLUSH, M, WRITE, connect, request_bytes, served

with served(size=M, lives=False) as server, connect(server) as busy, connect(server) as other:
    write = request_bytes(WRITE, 0, 65536) + bytes(65536)
    replies = threading.Event()

    def send():
        try:
            while True:
                busy.send(write)
        except OSError:
            pass

    def receive():
        try:
            while busy.sock.recv(65536):
                replies.set()
        except OSError:
            pass

    threads = [threading.Thread(target=f) for f in (send, receive)]
    for thread in threads:
        thread.start()
    replies.wait()
    other.ok(FLUSH)
    other.disconnect()
    start = time.monotonic()
    status = server.stop()
    took = time.monotonic() - start
    for thread in threads:
        thread.join()
    assert status == 0 and took < 15, f'status {status} after {took:.1f} s'
