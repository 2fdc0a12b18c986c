#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Standard output at start: a line of JSON whose URIs work as they are; on a terminal, commands."""
import json
import os
import pty
import shlex
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402

try:
    import nbd
except ImportError:
    nbdtest.skip('the Python module nbd is not installed')

DISK = nbdtest.disk(1 << 20)
NAMES = ['disk', 'a b/c?d%41&=é"\\', '']


def lists():
    for name in NAMES:
        yield f'--export=name={name},image={DISK},format=raw,read-only=on'


odd = nbdtest.path('a b&?#=%é')
os.mkdir(odd)
os.chdir(odd)
with nbdtest.Server(['--socket=socket', '--port=0', *lists()]) as server:
    with open(server.output_path) as f:
        line = json.load(f)
    assert line['pid'] == server.proc.pid, line
    assert [e['name'] for e in line['exports']] == NAMES, line
    for export in line['exports']:
        assert (export['size'], export['read-only']) == (1 << 20, True), export
        assert len(export['uris']) == 3, export['uris']
        for uri in export['uris']:
            h = nbd.NBD()
            h.connect_uri(uri)
            assert h.get_export_name() == export['name'], uri
            h.shutdown()

# With TLS.
pki = nbdtest.path('pki')
if subprocess.run([nbdtest.NBD_EXPORT, '--make-certs=' + pki], stdin=subprocess.DEVNULL,
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
    for choice, schemes in ('require', ['nbds+unix']), ('on', ['nbd+unix', 'nbds+unix']):
        with nbdtest.Server(['--tls-certs=' + pki, '--tls=' + choice, *lists()]) as server:
            with open(server.output_path) as f:
                line = json.load(f)
        for export in line['exports']:
            assert [u.split(':')[0] for u in export['uris']] == schemes, export

# A terminal: each command is one that a shell takes as it is meant.
ours, theirs = pty.openpty()
path = nbdtest.path("it's")
server = subprocess.Popen([nbdtest.NBD_EXPORT, '--aio=' + nbdtest.ENGINE, '--socket=' + path,
                           *lists()], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
os.close(theirs)
text = ''
while 'nbd-client' not in text or not text.endswith('\n\r\n'):
    text += os.read(ours, 4096).decode()
server.terminate()
assert server.wait(60) == 0
commands = {}
for row in text.splitlines():
    words = shlex.split(row[21:]) if row.startswith('  ') else []
    if len(words) > 1:
        commands[words[0] if words[0] != 'sudo' else words[1]] = words
uri = 'nbd+unix:///disk?socket=' + path.replace("'", '%27')
assert commands['nbdinfo'] == ['nbdinfo', uri], text
assert commands['nbdcopy'] == ['nbdcopy', uri, 'copy.img'], text
assert commands['qemu-img'][-2:] == [uri, 'copy.qcow2'], text
assert commands['nbd-client'] == ['sudo', 'nbd-client', '-unix', path, '/dev/nbd0', '-N', 'disk'], \
    text
