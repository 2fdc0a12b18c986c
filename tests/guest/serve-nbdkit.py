#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""serve-nbdkit.py ARG...: becomes nbdkit on a free port of this machine, which it writes to
descriptor 4.  Who reads it there can connect: the socket listens already."""
import os
import socket
import sys

listener = socket.create_server(('127.0.0.1', 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.write(4, b'%d\n' % listener.getsockname()[1])
os.close(4)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execvp('nbdkit', ['nbdkit', '--foreground'] + sys.argv[1:])
