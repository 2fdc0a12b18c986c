#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets that systemd passes: all are served, none is removed; what is no such socket is refused."""
import os
import socket
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

try:
    import nbd
except ImportError:
    nbdtest.skip('the Python module nbd is not installed')

DISK = nbdtest.disk(1 << 20)
STDOUT = open(nbdtest.path('stdout'), 'wb')


def start(sockets, n=None, pid=None, **kwargs):
    """nbd-export with the sockets as descriptors 3 and so on."""
    def prepare():
        for i, sock in enumerate(sockets):
            os.dup2(sock.fileno(), 30 + i)
        for i in range(len(sockets)):
            os.dup2(30 + i, 3 + i)
        os.environ.update(LISTEN_PID=str(pid or os.getpid()), LISTEN_FDNAMES='a:b',
                          LISTEN_FDS=str(len(sockets) if n is None else n))
        os.execvp(nbdtest.NBD_EXPORT, [nbdtest.NBD_EXPORT, '--aio=' + nbdtest.ENGINE,
                                       '--format=raw', *kwargs.pop('args', []), DISK])
    return subprocess.Popen(['unused'], preexec_fn=prepare, close_fds=False,
                            stdin=subprocess.DEVNULL, stdout=STDOUT,
                            stderr=subprocess.PIPE, text=True)


def size(uri):
    h = nbd.NBD()
    h.connect_uri(uri)
    assert h.get_size() == 1 << 20
    h.shutdown()


unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
path = nbdtest.path('socket')
unix.bind(path)
unix.listen()
tcp = socket.create_server(('127.0.0.1', 0))
port = tcp.getsockname()[1]

# Clients may come before the server does; LISTEN_FDNAMES says nothing to it.
server = start([unix, tcp])
size(f'nbd+unix:///?socket={path}')
size(f'nbd://127.0.0.1:{port}')
server.terminate()
assert server.wait(60) == 0, server.stderr.read()
assert os.path.exists(path), 'the socket is systemd\'s'

# Beside an address of its own.
own = nbdtest.path('own')
ready, ready_child = os.pipe()
os.set_inheritable(ready_child, True)
server = start([unix], args=['--socket=' + own, f'--ready-fd={ready_child}'])
os.close(ready_child)
assert os.read(ready, 10) == b'READY\n'
for p in own, path:
    size(f'nbd+unix:///?socket={p}')
server.terminate()
assert server.wait(60) == 0, server.stderr.read()


def refused(server, message):
    assert server.wait(60) == 1
    text = server.stderr.read()
    assert message in text, text


connected, other = socket.socketpair()
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused(start([connected]), 'no socket that listens')
refused(start([datagram]), 'no socket that listens')
refused(start([unix], n='x'), 'LISTEN_FDS')
refused(start([unix], n=1000), 'LISTEN_FDS promises descriptor')
# Meant for another process: an address in use shows that it listens where it is told to.
refused(start([unix], pid=1, args=['--socket=' + path]), 'in use by a running server')

# Who passes sockets knows where they are, and standard output may be a client's.
assert os.path.getsize(nbdtest.path('stdout')) == 0
