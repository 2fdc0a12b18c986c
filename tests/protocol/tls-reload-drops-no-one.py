#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""At SIGHUP new clients get new certificates, old ones notice nothing, wrong ones change nothing."""
import os
import shutil
import signal
import ssl

from rawnbd import M, eq, nbdtest, until
from rawtls import TlsClient, connect_tls, context, make_certs

old, new, other = (make_certs(name) for name in ('old', 'new', 'other'))
used = shutil.copytree(old, nbdtest.path('used'))
image = nbdtest.disk(M)


def reload(server, message):
    """Returns when the log says so once more."""
    count = server.log().count(message)
    server.proc.send_signal(signal.SIGHUP)
    until(lambda: server.log().count(message) > count, f'"{message}" in the log')


def refuses(server, folder):
    with TlsClient(server) as client:
        try:
            client.starttls(context(folder, certificate=False))
        except ssl.SSLError:
            return
    raise AssertionError('a server with other certificates is trusted')


def serves(server, folder):
    with connect_tls(server, context(folder)) as client:
        client.pwrite(0, b'data')
        client.disconnect()


def check(server, change, break_it):
    """change(folder) has the next reload take the folder's certificates."""
    with connect_tls(server, context(old)) as early:
        change(new)
        refuses(server, new)
        reload(server, 'reloaded')
        refuses(server, old)
        with connect_tls(server, context(new)) as late:
            break_it()
            reload(server, 'server-cert.pem')
            for client in early, late:
                client.pwrite(512, b'more')
                eq(client.pread(512, 4), b'more', 'data')
            serves(server, new)
            change(other)
            reload(server, 'reloaded')
            serves(server, other)
            for client in early, late:
                eq(client.pread(512, 4), b'more', 'data')
                client.disconnect()


def spoil():
    with open(os.path.join(used, 'server-cert.pem'), 'w') as f:
        f.write('no certificate')


with nbdtest.Server(['--format=raw', '--tls-verify-peer', '--tls-certs=' + used, image]) as running:
    check(running, lambda folder: shutil.copytree(folder, used, dirs_exist_ok=True), spoil)
    assert 'the old ones stay' in running.log(), running.log()


def configure(folder):
    with open(nbdtest.path('config'), 'w') as f:
        f.write(f'[generic]\ntls-certs = {folder}\ntls-verify-peer = on\n'
                f'[shelf]\nimage = {image}\nformat = raw\n')


configure(old)
with nbdtest.Server(['--config=' + nbdtest.path('config')]) as running:
    check(running, configure, lambda: configure(nbdtest.path('nothing')))
    assert 'nothing is changed' in running.log(), running.log()
    assert 'after a restart' not in running.log(), running.log()
