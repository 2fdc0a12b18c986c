#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--inetd: a client on a socket, or on two pipes; the server ends when it leaves, having answered."""
import os
import socket
import struct
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

SIZE = 8 << 20
DISK = nbdtest.path('disk')
CONTENT = os.urandom(1 << 20) * 8
with open(DISK, 'wb') as f:
    f.write(CONTENT)

ARGS = [nbdtest.NBD_EXPORT, '--aio=' + nbdtest.ENGINE, '--format=raw', '--inetd']
# All that a client says: flags, EXPORT_NAME, three reads, a write, and a disconnect or not.
HELLO = struct.pack('>I', 3) + struct.pack('>QII', 0x49484156454F5054, 1, 0)


def request(kind, cookie, offset, length):
    return struct.pack('>IHHQQI', 0x25609513, 0, kind, cookie, offset, length)


SPEECH = (HELLO + b''.join(request(0, i, i << 20, SIZE - (3 << 20)) for i in range(3))
          + request(1, 9, 512, 4096) + b'w' * 4096)
LENGTH = 18 + 10 + 3 * (16 + SIZE - (3 << 20)) + 16


def check(output):
    assert len(output) == LENGTH, (len(output), LENGTH)
    at = 28
    for _ in range(4):
        magic, error, cookie = struct.unpack_from('>IIQ', output, at)
        assert (magic, error) == (0x67446698, 0), (hex(magic), error)
        at += 16
        if cookie != 9:
            length = SIZE - (3 << 20)
            want = CONTENT[cookie << 20:(cookie << 20) + length]
            got = output[at:at + length]
            assert got[4608:] == want[4608:], 'content'
            at += length


# Pipes, with and without a word of farewell.
for end in request(2, 0, 0, 0), b'':
    p = subprocess.run([*ARGS, DISK], input=SPEECH + end, stdout=subprocess.PIPE, timeout=60,
                       stderr=subprocess.PIPE, check=True)
    check(p.stdout)
    assert b'connected' in p.stderr, p.stderr

# A socket, which is standard error too, as inetd has it.
ours, theirs = socket.socketpair()
with subprocess.Popen([*ARGS, DISK], stdin=theirs, stdout=theirs, stderr=theirs) as p:
    theirs.close()
    ours.sendall(SPEECH + request(2, 0, 0, 0))
    output = b''
    while chunk := ours.recv(1 << 20):
        output += chunk
    check(output)
    assert p.wait(60) == 0
with open(DISK, 'rb') as f:
    assert f.read(8192)[512:4608] == b'w' * 4096

for args, message in ((['--port=1'], '--port'), (['--fork'], '--fork'), (['--run=x'], '--run')):
    p = subprocess.run([*ARGS, *args, DISK], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       stdout=subprocess.DEVNULL, timeout=60)
    assert p.returncode == 1 and message.encode() in p.stderr, p
