#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cut wire: what the client had sent before, and gave up, never comes back after newer data."""
import socket
import struct

import twohosts
from rawnbd import K, M, WRITE, connect, eq, nbdtest, request_bytes, until_read

disk = nbdtest.disk(M)
slow = nbdtest.disk(M, 'slow')
hosts = twohosts.Hosts(
    '-v', f'--export=name=disk,format=raw,image={disk}',
    '--export=name=slow,image-opts,image='
    f'driver=blkdebug,,image.driver=file,,image.filename={slow},,inject-error.0.sector=8,,'
    'inject-error.0.iotype=write,,inject-error.0.delay-ns=1000000000,,inject-error.0.once=on')


def enter(name):
    return connect(hosts.address, name=name)


def close_unheard(client):
    """As a machine that loses its power: no FIN, no RST is ever sent."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()


def old_write_arrives_late():
    """It waits in the client's kernel, which goes on sending although its process is gone."""
    old = enter('disk')
    old.pwrite(0, b'o' * 4096)
    port = twohosts.port_of(old)
    hosts.mute(port)
    old.request(WRITE, 4096, 64 * K, data=b'o' * 64 * K)
    old.close()
    with enter('disk') as new:
        new.pwrite(4096, b'n' * 64 * K)
        hosts.unmute(port)
        hosts.until_gone(port)
        eq(new.pread(4096, 64 * K) == b'n' * 64 * K, True, 'the newer data')
        new.disconnect()
    assert 'old writes that came late' in hosts.server.log(), hosts.server.log()


def old_write_runs():
    """The server has it, but the medium is slow."""
    old = enter('slow')
    old.request(WRITE, 4096, 4096, data=b'o' * 4096)
    until_read(old)
    hosts.cut()
    close_unheard(old)
    hosts.mend()
    with enter('slow') as new:
        hosts.until_logged(': connected', 2)
        log = hosts.server.log()
        assert 'request 1: done' in log[:log.rindex(': connected')], 'the newcomer did not wait'
        new.pwrite(4096, b'n' * 4096)
        eq(new.pread(4096, 4096) == b'n' * 4096, True, 'the newer data')
        new.disconnect()


def more_than_is_held_arrives_late():
    """There is no room for the rest of it, nor for the end that follows."""
    old = enter('disk')
    old.pwrite(0, b'o' * 4096)
    port = twohosts.port_of(old)
    old.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, M)
    hosts.cut()
    old.send((request_bytes(WRITE, 4096, 512) + b'o' * 512) * 300)
    old.close()
    hosts.mend()
    with enter('disk') as new:
        hosts.until_gone(port)
        new.disconnect()


old_write_runs()
old_write_arrives_late()
more_than_is_held_arrives_late()
hosts.stop()
