#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A flood of costly requests, all in one packet, does not hold up the thread's other clients."""
import fcntl
import struct
import termios

from rawnbd import CACHE, G, M, connect, eq, request_bytes, served

FLOOD = 2000
with served('--threads=1', '--image-opts', image=f'driver=null-co,size={G}', fmt=None) as server, \
        connect(server) as greedy, connect(server) as modest:
    greedy.send(request_bytes(CACHE, 0, 32 * M) * FLOOD)
    greedy.read(16)                             # it has begun
    eq(len(modest.pread(0, 512)), 512, 'read')
    unread = bytearray(4)
    fcntl.ioctl(greedy.sock, termios.FIONREAD, unread)
    answered = 1 + struct.unpack('i', unread)[0] // 16
    assert answered < FLOOD / 2, f'served after {answered} requests of another client'
    modest.disconnect()
