#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hosts, TLS, rules for certificates: load while settings change, then the wire is cut."""
import os
import shutil
import subprocess

import twohosts
from rawnbd import ERR_UNKNOWN, K, M, WRITE, eq, nbdtest, skip
from rawtls import TlsClient, connect_tls, context, make_certs
from reloading import Reloading

for tool in 'fio', 'nbdkit':
    if not shutil.which(tool):
        skip(tool + ' is not installed')
plugin = subprocess.run(['nbdkit', '--dump-plugin', 'nbd'], capture_output=True, text=True,
                        check=False).stdout
if 'libnbd_tls=1' not in plugin:
    skip("nbdkit's client has no TLS")

certs = make_certs()
tls = context(certs)
image = {name: f'image = {nbdtest.disk(16 * M, name)}' for name in ('disk', 'others', 'new')}
ours, theirs = 'allow = tls:client', 'allow = tls:somebody-else'

hosts = twohosts.Hosts(
    f'--tls-certs={certs}', '--tls-verify-peer', '--keepalive=2',
    start=lambda args: Reloading({'disk': [image['disk'], ours],
                                  'others': [image['others'], theirs]}, args=args))
server = hosts.server


def answer(name):
    with TlsClient(hosts.address).starttls(tls) as client:
        return client.info(name)[0]


# Whoever may not enter learns nothing.
eq(answer('others'), answer('no such'), 'an export of others')
eq(answer('others'), ERR_UNKNOWN, 'an export of others')

# Settings change under load, which notices nothing.
os.chdir(nbdtest.tmp)
load = subprocess.Popen(
    ['nbdkit', '-U', '-', 'nbd', f'hostname={hosts.address[0]}', f'port={hosts.address[1]}',
     'export=disk', 'tls=require', f'tls-certificates={certs}', 'tls-verify=false', '--run',
     'fio --name=load --ioengine=nbd --uri="$uri" --rw=randrw --bs=4k --iodepth=16 --size=4M '
     '--io_size=8M --verify=crc32c --verify_fatal=1'],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
while 'connected' not in server.log() and load.poll() is None:
    os.sched_yield()
changes = 0
while load.poll() is None or changes < 4:
    changes += 1
    sections = {'disk': [image['disk'], ours, f'description = {changes}'],
                'others': [image['others'], ours if changes % 2 else theirs]}
    if changes % 3:
        sections['new'] = [image['new'], ours]
    server.reload(sections)
    eq(answer('others') == ERR_UNKNOWN, changes % 2 == 0, 'the rules that hold now')
    eq(answer('new') == ERR_UNKNOWN, changes % 3 == 0, 'the exports of now')
output = load.communicate()[0]
assert load.returncode == 0 and 'err= 0' in output, output

# The wire is cut: the client is found out ...
server.reload({'disk': [image['disk'], ours]})
dead = connect_tls(hosts.address, tls, name='disk')
hosts.cut()
hosts.until_gone(twohosts.port_of(dead))
dead.sock.close()
hosts.mend()

# ... and what it had sent before does not undo what it writes when it is back.
old = connect_tls(hosts.address, tls, name='disk')
old.pwrite(0, b'o' * 4096)
hosts.cut()
port = twohosts.port_of(old)
old.request(WRITE, 4 * K, 64 * K, data=b'o' * 64 * K)
old.sock.close()
hosts.mend()
new = connect_tls(hosts.address, tls, name='disk')
new.pwrite(4 * K, b'n' * 64 * K)
hosts.until_gone(port)
eq(new.pread(4 * K, 64 * K) == b'n' * 64 * K, True, 'the newer data')
new.disconnect()
hosts.stop()
