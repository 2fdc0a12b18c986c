#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands in docs/compared.md do what it says, those of peers that are installed too.

Each server runs in a network namespace and a folder of its own, so the ports are free.
"""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

SOURCE = os.environ.get('abs_top_srcdir', os.path.join(os.path.dirname(__file__), '..', '..'))
PATIENCE = 30     # seconds
os.environ['PATH'] = os.pathsep.join([os.path.dirname(nbdtest.NBD_EXPORT), os.environ['PATH'],
                                      '/usr/sbin', '/sbin'])
PEERS = ['qemu-nbd', 'nbdkit', 'nbd-server']
SERVERS = ['nbd-export', *PEERS]
NEEDS = ['unshare', 'ip', 'sfdisk', 'qemu-img', 'qemu-io', 'nbdinfo', 'nbdcopy',
         'systemd-socket-activate', *PEERS]


def tasks():
    """(title, {info words: text of the block})"""
    with open(os.path.join(SOURCE, 'docs', 'compared.md')) as f:
        for part in f.read().split('\n## ')[1:]:
            blocks = dict(re.findall(r'^```sh (.+?)\n(.*?)^```$', part, re.M | re.S))
            yield part.split('\n')[0], blocks


def prepare(folder):
    os.mkdir(folder)
    def run(command):
        subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run('truncate -s 16M disk.img; printf "start=1MiB size=4MiB\\nstart=5MiB size=3MiB\\n" |'
        'sfdisk -q --label dos disk.img; cp disk.img disk.orig;'
        'qemu-img convert -f raw -O qcow2 disk.img disk.qcow2')
    return subprocess.run(['nbd-export', '--make-certs', 'pki'], cwd=folder,
                          stdout=subprocess.DEVNULL).returncode == 0


def attempt(folder, text, log):
    return subprocess.run(['sh', '-e', '-c', text], cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=log, stderr=log, timeout=PATIENCE).returncode


def stop(proc, pid_file):
    """The server, in the foreground or not."""
    for kill, pid in (os.killpg, proc.pid), (os.kill, read_pid(pid_file)):
        try:
            if pid:
                kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    proc.wait()


def read_pid(path):
    try:
        with open(path) as f:
            return int(f.read() or 0)
    except FileNotFoundError:
        return 0


def check(title, server, blocks, folder):
    """Starts the server, and has the client try until it is there."""
    shutil.copytree(nbdtest.path('made'), folder)
    with open(folder + '.log', 'w+') as log:
        proc = subprocess.Popen(['sh', '-e', '-c', blocks[server]], cwd=folder, stdout=log,
                                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            signal.alarm(PATIENCE)
            if server + ' change' in blocks:
                while not os.path.exists(folder + '/nbd.pid'):
                    os.sched_yield()
                assert attempt(folder, blocks[server + ' change'], log) == 0
            while attempt(folder, blocks['client'], log) != 0:
                assert not proc.poll(), 'the server has ended'
            signal.alarm(0)
        except (AssertionError, TimeoutError) as e:
            log.seek(0)
            print(f'{title}: {server}: {e}\n{log.read()[-3000:]}')
            return False
        finally:
            signal.alarm(0)
            stop(proc, folder + '/nbd.pid')
    return True


def late(*_):
    raise TimeoutError('the client does not succeed')


def main():
    with_tls = prepare(nbdtest.path('made'))
    failed, n = [], 0
    signal.signal(signal.SIGALRM, late)
    # Names are looked up by who has an address other than 127.0.0.1.
    subprocess.run('ip link set lo up; ip addr add 198.51.100.1/24 dev lo', shell=True, check=True)
    for title, blocks in tasks():
        assert 'client' in blocks and 'nbd-export' in blocks, title
        for server in SERVERS:
            if server not in blocks or ('tls' in blocks[server] and not with_tls):
                continue
            n += 1
            if not check(title, server, blocks, nbdtest.path(f'{n}')):
                failed.append((title, server))
    print(f'{n} tried, failed: {failed}')
    sys.exit(bool(failed))


if __name__ == '__main__':
    if len(sys.argv) > 1:
        main()
    for program in NEEDS:
        if not shutil.which(program):
            nbdtest.skip(f'{program} is not installed')
    if subprocess.run(['unshare', '-rn', 'true'], stderr=subprocess.DEVNULL).returncode:
        nbdtest.skip('no network namespaces here')
    os.execvp('unshare', ['unshare', '-rn', sys.executable, '-B', __file__, 'inside'])
