# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hosts with a wire between them: the server's and the client's, each a network namespace.

    hosts = twohosts.Hosts(server_args)    # this process is in the client's
    hosts.cut(); hosts.mend()              # the wire
"""
import atexit
import ctypes
import os
import re
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'protocol'))
from rawnbd import nbdtest, skip, until  # noqa: E402

CLONE_NEWNET = 0x40000000
SERVER, CLIENT = '192.0.2.1', '192.0.2.2'


def new_network():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        skip('no network namespace of our own: ' + os.strerror(ctypes.get_errno()))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def port_of(client):
    return client.sock.getsockname()[1]


class Hosts:
    def __init__(self, *args, start=nbdtest.Server):
        for tool in 'ip', 'nsenter':
            if not shutil.which(tool):
                skip(tool + ' is not installed')
        new_network()
        run('ip', 'link', 'set', 'lo', 'up')
        self.server = start(['-v', '--bind=0.0.0.0:0', *args])
        atexit.register(self.server.kill)
        port = re.search(r'listening on 0\.0\.0\.0:(\d+)', self.server.log())[1]
        self.address = SERVER, int(port)
        self.pid = str(self.server.proc.pid)
        new_network()
        try:
            run('ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'end')
        except subprocess.CalledProcessError as e:
            skip('no wire: ' + e.stderr)
        run('ip', 'link', 'set', 'end', 'netns', self.pid)
        run('ip', 'addr', 'add', CLIENT + '/24', 'dev', 'wire')
        self.at_server('ip', 'addr', 'add', SERVER + '/24', 'dev', 'end')
        self.at_server('ip', 'link', 'set', 'end', 'up')
        self.mend()

    def at_server(self, *command):
        return run('nsenter', '--net=/proc/%s/ns/net' % self.pid, *command)

    def cut(self):
        run('ip', 'link', 'set', 'wire', 'down')

    def mend(self):
        run('ip', 'link', 'set', 'wire', 'up')

    def mute(self, port, action='add'):
        """Nothing that the client's machine sends from that port arrives any more."""
        run('ip', 'rule', action, 'ipproto', 'tcp', 'sport', str(port), 'blackhole')

    def unmute(self, port):
        self.mute(port, 'del')

    def until_logged(self, text, count=1):
        until(lambda: self.server.log().count(text) >= count, f'"{text}" in the log')

    def until_gone(self, port):
        """The client of that port is."""
        self.until_logged(':%d: disconnected' % port)

    def stop(self):
        status = self.server.stop()
        assert status == 0, 'status %d\n%s' % (status, self.server.log())
