#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control socket is its owner's: its mode, who is let in, what a dead server left."""
import os
import select
import signal
import stat
import subprocess

from rawnbd import eq, nbdtest, qmptest

ROOT = os.geteuid() == 0
NOBODY, OTHERS = 65534, 12345
image = nbdtest.disk(1 << 20)


def mode(server):
    return stat.S_IMODE(os.stat(server.qmp_path).st_mode)


def connect_as(server, uid, gid):
    """What a process of that user is told: the greeting, or why not; or the error of connect()."""
    read, write = os.pipe()
    text = 'an exception'
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            with server.qmp(negotiate=False) as qmp:
                text = repr(qmp.greeting)
        except OSError as e:
            text = e.strerror
        finally:
            os.write(write, text.encode())
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return f.read()


def refused(*args):
    """What the server says that does not start."""
    run = subprocess.run([nbdtest.NBD_EXPORT, *args, '--image-opts', 'driver=null-co'], text=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    eq(run.returncode, 1, 'status')
    return run.stderr


os.chmod(nbdtest.tmp, 0o755)
os.umask(0)
with qmptest.Server(['--format=raw', image]) as server:
    eq(oct(mode(server)), oct(0o600), 'mode')
    server.qmp().close()
    eq('in use' in refused('--qmp=' + server.qmp_path, '--port=0'), True, 'a second server')
    if ROOT:
        eq(connect_as(server, NOBODY, NOBODY), os.strerror(13), 'kept away by the mode')
        os.chmod(server.qmp_path, 0o666)
        eq('user %d may not' % NOBODY in connect_as(server, NOBODY, NOBODY), True, 'refused')
        eq('uid %d: control socket: refused' % NOBODY in server.log(), True, server.log())
        eq("'QMP'" in connect_as(server, 0, 0), True, 'root')
    server.qmp().close()
    server.kill()
    path = server.qmp_path
    eq(stat.S_ISSOCK(os.stat(path).st_mode), True, 'left behind')

    server.proc = subprocess.Popen(server.args[:2] + [
        '--qmp=' + path, '--socket=' + server.socket_path, '--format=raw', '--fork',
        '--pid-file=' + nbdtest.path('pid'), image], stdout=subprocess.DEVNULL)
    eq(server.wait(), 0, 'in the background')
    server.qmp().close()
    with open(nbdtest.path('pid')) as f, server.qmp() as qmp:
        pid = int(f.read())
        gone = os.pidfd_open(pid)
        eq(qmp.cmd('x-query-server')['pid'], pid, 'pid')
        qmp.cmd('quit')
        qmp.wait_event('SHUTDOWN')
        eq(qmp.receive(), None, 'end')
    assert select.select([gone], [], [], 60)[0], 'it does not end'
    eq(os.path.exists(path), False, 'removed at the end')

if ROOT:
    with qmptest.Server(['--qmp-allow=uid:%d' % OTHERS, '--qmp-allow=gid:%d' % OTHERS,
                         '--format=raw', image]) as server:
        eq(oct(mode(server)), oct(0o666), 'mode with rules')
        eq("'QMP'" in connect_as(server, OTHERS, 1), True, 'uid')
        eq("'QMP'" in connect_as(server, NOBODY, OTHERS), True, 'gid')
        eq("'QMP'" in connect_as(server, 0, 0), True, 'root')
        eq('may not' in connect_as(server, NOBODY, NOBODY), True, 'others')

    os.chmod(image, 0o666)
    with qmptest.Server(['--user=%d' % NOBODY, '--format=raw', image]) as server:
        status = os.stat(server.qmp_path)
        eq((status.st_uid, oct(mode(server))), (NOBODY, oct(0o600)), '--user')
        eq("'QMP'" in connect_as(server, NOBODY, NOBODY), True, 'its own user')
        server.stop(signal.SIGTERM)

path = nbdtest.path('never')
eq('--qmp' in refused('--qmp-allow=uid:1'), True, 'without --qmp')
eq('user:NAME' in refused('--qmp=' + path, '--qmp-allow=net:10.0.0.0/8'), True, 'net')
eq('user:NAME' in refused('--qmp=' + path, '--qmp-allow=any'), True, 'any')
eq('--qmp' in refused('--qmp=' + path, '--inetd'), True, 'inetd')
eq('longer than' in refused('--port=0', '--qmp=/tmp/' + 'x' * 200), True, 'long')
with open(path, 'w'):
    eq('something else' in refused('--port=0', '--qmp=' + path), True, 'a file')
