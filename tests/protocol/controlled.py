# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of the control socket that are clients, too."""
import os
import re
import subprocess

from rawnbd import nbdtest, qmptest, until


def export(name, *settings, size=1 << 20):
    """An option that serves a raw file of its own, nbdtest.path(name)."""
    return '--export=' + ','.join([f'name={name}', 'format=raw', *settings,
                                   'image=' + nbdtest.disk(size, name)])


def failing(name, *rules, size=1 << 20):
    """The same with an image that fails as the rules of blkdebug say."""
    image = ','.join(['driver=blkdebug', 'image.driver=file',
                      'image.filename=' + nbdtest.disk(size, name), *rules])
    return f'--export=name={name},image-opts=on,image=' + image.replace(',', ',,')


class Storage:
    """Exports of a server whose images hang when they are told to: another server has them."""

    def __init__(self, *names):
        if ' nbd' not in re.search('^Supported formats:.*', self.help(), re.M)[0]:
            nbdtest.skip('this build has no driver nbd')
        self.names = names
        self.server = Server([export(name) for name in names])
        self.qmp = self.server.qmp()

    @staticmethod
    def help():
        blk_img = os.path.join(os.path.dirname(nbdtest.NBD_EXPORT), 'blk-img')
        return subprocess.run([blk_img, '--help'], stdout=subprocess.PIPE, check=True,
                              text=True).stdout

    def export(self, name):
        """An option that serves one of them."""
        image = f'driver=nbd,path={self.server.socket_path},export={name}'
        return f'--export=name={name},image-opts=on,image=' + image.replace(',', ',,')

    def hang(self):
        for name in self.names:
            self.qmp.cmd('x-export-pause', id=name)

    def go_on(self):
        for name in self.names:
            self.qmp.cmd('x-export-resume', id=name)

    def hangs(self):
        """Somebody waits for it."""
        return any(c['held'] for c in self.qmp.cmd('x-query-clients'))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.qmp.close()
        self.server.__exit__(*exc)


def content(name):
    with open(nbdtest.path(name), 'rb') as f:
        return f.read()


def client_of(qmp, **args):
    """The one client that x-query-clients lists, once others have gone that have just left."""
    def only_one():
        clients = qmp.cmd('x-query-clients', **args)
        assert clients, 'no client'
        return clients if len(clients) == 1 else None

    return until(only_one, 'all clients but one to go')[0]


def until_held(qmp, n, **args):
    """Returns when that many requests of the only client are held."""
    until(lambda: client_of(qmp, **args)['held'] == n, f'{n} requests to be held')


Server = qmptest.Server
