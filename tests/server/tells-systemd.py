#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sd_notify: READY=1 once clients can connect, RELOADING=1 and READY=1 around a reload, STOPPING=1
at the end, on either kind of socket."""
import os
import signal
import socket
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

path = nbdtest.path('notify')
with open(nbdtest.path('conf'), 'w') as f:
    f.write(f'[disk]\nexportname = {nbdtest.disk(1 << 20)}\nformat = raw\n')
for name, address in (path, path), ('@' + path, '\0' + path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(60)
        with nbdtest.Server(['--config=' + nbdtest.path('conf')],
                            env={'NOTIFY_SOCKET': name}) as server:
            ready = sock.recv(4096).decode().split('\n')
            assert ready[0] == 'READY=1' and ready[1].startswith('STATUS='), ready
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(server.socket_path)
            server.proc.send_signal(signal.SIGHUP)
            reloading = sock.recv(4096).decode().split('\n')
            assert reloading[0] == 'RELOADING=1', reloading
            assert reloading[1].startswith('MONOTONIC_USEC='), reloading
            assert sock.recv(4096).decode().split('\n')[0] == 'READY=1'
            server.stop()
            assert sock.recv(4096).decode().split('\n')[0] == 'STOPPING=1'
