#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make-nbd-corpus.py FOLDER: writes the seeds of fuzz-handshake and fuzz-transmission.

They are what real clients say to nbd-export, recorded on the way by a proxy, and what
tests/protocol/rawnbd.py says, which knows more of the protocol.  Run it from the build folder.
Inputs that once found something are in the same folders, named found-*, and stay.
"""
import contextlib
import os
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import threading

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../tests/protocol'))
from rawnbd import (BLOCK_STATUS, CACHE, DF, DISC, FAST_ZERO, FLUSH, FUA, G, K, M,  # noqa: E402
                    NO_HOLE, OPT_EXPORT_NAME, OPT_EXTENDED, OPT_GO, OPT_INFO, OPT_LIST_META,
                    OPT_SET_META, OPT_STRUCTURED, PAYLOAD_LEN, READ, REQ_ONE, TRIM, WRITE,
                    WRITE_ZEROES, Client, Closed, connect, extended_bytes, nbdtest,
                    request_bytes)

# As fuzz/server-target.c has them.
EXPORTS = ['--image-opts', '--allocation-depth', '--discard=unmap',
           '--export', 'name=,description=text,image=driver=memory,,size=1M',
           '--export', 'name=ro,read-only=on,image=driver=memory,,size=64k',
           '--export', 'name=big,image=driver=null-co,,size=16G,,read-zeroes=on']
NAMES = ['', 'ro', 'big']
SIZE_MAX = 32 * K               # of a seed


class Recorder:
    """A proxy in front of the server; `said` has what each connection's client has sent."""

    def __init__(self, server):
        self.target, self.socket_path, self.said = server.socket_path, nbdtest.path('proxy'), []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.socket_path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        said = bytearray()
        self.said.append(said)
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, \
                contextlib.suppress(OSError), selectors.DefaultSelector() as selector:
            server.connect(self.target)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while selector.get_map():
                for key, _ in selector.select():
                    data = key.fileobj.recv(M)
                    if key.fileobj is client:
                        said += data
                    if data:
                        key.data.sendall(data)
                    else:
                        key.data.shutdown(socket.SHUT_WR)
                        selector.unregister(key.fileobj)


def split(said):
    """(negotiated, requests) as fuzz-transmission wants them, or None."""
    at, form, contexts = 4, 0, 0
    while at + 16 <= len(said):
        option, length = struct.unpack('>II', said[at + 8:at + 16])
        data = said[at + 16:at + 16 + length]
        at += 16 + length
        form = max(form, {OPT_STRUCTURED: 1, OPT_EXTENDED: 2}.get(option, 0))
        contexts |= 4 if option == OPT_SET_META else 0
        if option in (OPT_GO, OPT_EXPORT_NAME):
            if option == OPT_GO:
                data = data[4:4 + struct.unpack('>I', data[:4])[0]]
            return form | contexts | NAMES.index(data.decode()) << 3, said[at:]
    return None


def real_clients(uri, path):
    """Each on the default export, and on one that has its name."""
    commands = [['nbdinfo', uri('')], ['nbdinfo', '--list', uri('')], ['nbdinfo', '--map', uri('')],
                ['nbdinfo', '--map=qemu:allocation-depth', uri('big')],
                ['nbdinfo', '--json', uri('ro')], ['nbdinfo', '--can', 'trim', uri('big')],
                ['nbdcopy', uri('ro'), 'null:'],
                ['qemu-img', 'info', uri('')], ['qemu-img', 'map', uri('ro')],
                ['qemu-img', 'map', '--image-opts', 'driver=nbd,server.type=unix,server.path='
                 f'{path},x-dirty-bitmap=qemu:allocation-depth'],
                ['qemu-nbd', '--list', '-k', path],
                ['nbd-client', '-l', '-u', path]]
    for line in ('write 0 4k', 'read 512 1k', 'write -f 4k 512', 'write -z 8k 64k', 'discard 0 1M',
                 'write -z -u 0 128k', 'map', 'flush', 'read 0 70000', 'aio_write 0 512'):
        commands.append(['qemu-io', '-f', 'raw', '-c', line, '-c', 'read 0 512', uri('')])
    for command in commands:
        program = shutil.which(command[0], path=os.environ['PATH'] + ':/usr/sbin:/sbin')
        if program:
            subprocess.run([program, *command[1:]], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=60, check=False)


def raw_clients(recorder):
    """What the real ones do not say."""
    for form in {}, {'structured': True}, {'extended': True}:
        for name in NAMES:
            contexts = ['base:allocation', 'qemu:allocation-depth'] if form else []
            with connect(recorder, name=name, contexts=contexts, **form) as client:
                for flags in 0, DF:
                    client.call(READ, 100, 5000, flags)
                for flags in 0, FUA:
                    client.call(WRITE, 4096, 512, flags, data=b'w' * 512)
                for flags in 0, NO_HOLE, FAST_ZERO, FUA:
                    client.call(WRITE_ZEROES, 0, 60000, flags)
                for cmd in TRIM, CACHE, BLOCK_STATUS:
                    for flags in 0, FUA, REQ_ONE:
                        client.call(cmd, 512, 8192, flags)
                client.call(FLUSH)
                client.call(READ, 2 * M, 512)
                client.call(77, 0, 1)
                if client.extended:
                    for ids in [1], [2, 1], [9], [1, 1], []:
                        client.status_of(0, 65536, ids)
                    for cmd in TRIM, WRITE_ZEROES, BLOCK_STATUS, CACHE:
                        client.call(cmd, 0, 5 * G + 1)
                        client.call(cmd, 1, (1 << 64) - 1)
                client.disconnect()
    for queries in [], ['base:'], ['qemu:'], ['qemu:dirty-bitmap:'], ['x'], ['qemu:dirty-bitmap:b']:
        with Client(recorder) as client:
            client.negotiate_extended()
            client.info('ro', range(5))
            client.meta(OPT_LIST_META, 'big', queries)
            client.meta(OPT_SET_META, '', queries)
            client.go('', [0, 3])
            client.disconnect()
    for option in (0, *range(2, 7), *range(8, 14)):
        with Client(recorder) as client, contextlib.suppress(Closed):
            client.option(option, b'\0\0\0\2ro\0\0' if option == OPT_INFO else b'')
    with Client(recorder, 0) as client:
        client.export_name('', zeroes=True)
        client.send(request_bytes(WRITE, 0, 0xffffffff))
    with connect(recorder, extended=True) as client:
        client.send(extended_bytes(WRITE, 0, 40000, PAYLOAD_LEN) + bytes(20000))


def write_seeds(folder, seeds):
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if not name.startswith('found-'):
            os.unlink(os.path.join(folder, name))
    for number, seed in enumerate(sorted(seeds, key=lambda seed: (len(seed), seed))):
        with open(os.path.join(folder, f'seed-{number:03}'), 'wb') as f:
            f.write(seed)


def main():
    with nbdtest.Server(EXPORTS) as server:
        recorder = Recorder(server)
        real_clients(lambda name: f'nbd+unix:///{name}?socket={recorder.socket_path}',
                     recorder.socket_path)
        raw_clients(recorder)
    handshakes, transmissions = set(), set()
    for said in recorder.said:
        said = bytes(said[:SIZE_MAX])
        handshakes.add(b'\0' + said)
        parts = split(said)
        if parts and parts[1]:
            transmissions.add(bytes([parts[0], 0]) + parts[1])
    # The same, byte by byte.
    handshakes.add(b'\1' + min(handshakes, key=len)[1:])
    write_seeds(os.path.join(sys.argv[1], 'handshake'), handshakes)
    write_seeds(os.path.join(sys.argv[1], 'transmission'), transmissions)


main()
