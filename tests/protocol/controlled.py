# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of the control socket that are clients, too."""
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
