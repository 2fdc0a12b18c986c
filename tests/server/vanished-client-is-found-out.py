#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that does not answer any more is found out, and at once if its place is asked for."""
import time

import twohosts
from rawnbd import M, connect, eq, nbdtest

disk = nbdtest.disk(M)
one = nbdtest.disk(M, 'one')
hosts = twohosts.Hosts('--keepalive=2', f'--export=name=disk,format=raw,image={disk}',
                       f'--export=name=one,format=raw,image={one},shared=1')


def enter(name):
    return connect(hosts.address, name=name)


def place_is_taken_over():
    """The only one is kept by a connection whose client does not answer."""
    with enter('one') as living:
        try:
            enter('one')
            raise RuntimeError('two clients in an export for one')
        except AssertionError as refused:
            assert 'NBD_OPT_GO' in str(refused), refused
        living.pwrite(0, b'x' * 512)
        hosts.mute(twohosts.port_of(living))
        with enter('one') as new:
            eq(new.pread(0, 512), b'x' * 512, 'data')
            new.disconnect()
    # Here --keepalive may have been faster.
    log = hosts.server.log()
    assert 'does not answer' in log or 'Connection timed out' in log, log


def dead_machine_is_found_out():
    client = enter('disk')
    start = time.monotonic()
    hosts.cut()
    hosts.until_gone(twohosts.port_of(client))
    assert time.monotonic() - start < 10, 'it took long'
    client.close()
    hosts.mend()


place_is_taken_over()
dead_machine_is_found_out()
hosts.stop()
