# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of SIGHUP: a server with a configuration file that changes."""
import signal
import time

from rawnbd import nbdtest


class Reloading(nbdtest.Server):
    """A server whose exports are sections, {name: [line, ...]}, of raw images unless image-opts say
    otherwise."""

    def __init__(self, sections, generic=(), args=()):
        self.config = nbdtest.path('config%d' % nbdtest.Server.count)
        self.generic = generic
        self.write(sections)
        super().__init__([f'--config={self.config}', *args])

    def write(self, sections):
        with open(self.config, 'w') as f:
            print('[generic]', *self.generic, sep='\n', file=f)
            for name, lines in sections.items():
                raw = [] if 'image-opts = on' in lines else ['format = raw']
                print(f'[{name}]', *raw, *lines, sep='\n', file=f)

    def reload(self, sections=None):
        """Has it read new sections; what it says, "nbd-export: " and clients left out."""
        before = len(self.log())
        if sections is not None:
            self.write(sections)
        self.proc.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while True:
            log = self.log()[before:]
            if 'reloaded "' in log or 'nothing is changed\n' in log or 'nothing to reload\n' in log:
                return [line.partition(': ')[2] for line in log.splitlines()
                        if 'client unix' not in line]
            assert self.proc.poll() is None, 'the server has ended'
            assert time.monotonic() < end, f'no end of reloading: {log}'
            time.sleep(0.005)
