#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sd_notify: READY=1 once clients can connect and STOPPING=1 at the end, on either kind of socket."""
import os
import socket
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

path = nbdtest.path('notify')
for name, address in (path, path), ('@' + path, '\0' + path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(60)
        with nbdtest.Server(['--format=raw', nbdtest.disk(1 << 20)],
                            env={'NOTIFY_SOCKET': name}) as server:
            ready = sock.recv(4096).decode().split('\n')
            assert ready[0] == 'READY=1' and ready[1].startswith('STATUS='), ready
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(server.socket_path)
            server.stop()
            assert sock.recv(4096).decode().split('\n')[0] == 'STOPPING=1'
