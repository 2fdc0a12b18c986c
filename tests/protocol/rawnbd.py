# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that speaks NBD byte by byte and trusts no reply.

Everything the server sends is held against doc/proto.md of NetworkBlockDevice/nbd:
magics, lengths, flags, coverage of reads, allowed error values.  What the client
itself sends is the test's business, right or wrong.
"""
import contextlib
import fcntl
import itertools
import os
import select
import socket
import struct
import sys
import tempfile
import termios

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import nbdtest  # noqa: E402
import qmptest  # noqa: E402, F401
from nbdtest import skip, until  # noqa: E402, F401

K, M, G = 1 << 10, 1 << 20, 1 << 30
TIMEOUT = 60                    # seconds; only a broken server makes a test wait that long

NBDMAGIC, IHAVEOPT, REP_MAGIC = 0x4e42444d41474943, 0x49484156454F5054, 0x3e889045565a9
REQUEST_MAGIC, SIMPLE_MAGIC, STRUCTURED_MAGIC = 0x25609513, 0x67446698, 0x668e33ef
EXTENDED_REQUEST_MAGIC, EXTENDED_MAGIC = 0x21e41c71, 0x6e8a278c

C_FIXED, C_NO_ZEROES = 1, 2

(OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_PEEK, OPT_STARTTLS, OPT_INFO, OPT_GO, OPT_STRUCTURED,
 OPT_LIST_META, OPT_SET_META, OPT_EXTENDED) = range(1, 12)
REP_ACK, REP_SERVER, REP_INFO, REP_META = 1, 2, 3, 4
REP_ERROR = 1 << 31
ERR_UNSUP, ERR_POLICY, ERR_INVALID, ERR_PLATFORM, ERR_TLS_REQD, ERR_UNKNOWN, ERR_SHUTDOWN, \
    ERR_BLOCK_SIZE_REQD, ERR_TOO_BIG, ERR_EXT_HEADER_REQD = (REP_ERROR + n for n in range(1, 11))
INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE = range(4)

HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, ROTATIONAL, SEND_TRIM, SEND_WRITE_ZEROES, SEND_DF, \
    CAN_MULTI_CONN, SEND_RESIZE, SEND_CACHE, SEND_FAST_ZERO, BLOCK_STATUS_PAYLOAD = \
    (1 << n for n in range(13))

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = (1 << n for n in range(6))

DONE = 1
NONE, OFFSET_DATA, OFFSET_HOLE, STATUS, STATUS_EXT, ERROR, ERROR_OFFSET = \
    0, 1, 2, 5, 6, 0x8001, 0x8002

EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 12, 22, 28, 75, 95, 108
ERRORS = {EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN}

HOLE, ZERO = 1, 2               # base:allocation
DIRTY = 1                       # qemu:dirty-bitmap:NAME


class Violation(AssertionError):
    """The server broke a rule of the protocol."""


class Closed(Exception):
    """The server closed the connection between two messages."""


def must(condition, rule, *seen):
    if not condition:
        raise Violation(' '.join([rule, *map(repr, seen)]))


def eq(got, want, what=''):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


@contextlib.contextmanager
def served(*args, size=M, data=None, fmt='raw', image=None, lives=True):
    """A server of one raw image of its own, that `lives` on at the end of the test."""
    with tempfile.TemporaryDirectory(prefix='nbd-export-') as tmp:
        path = image
        if path is None:
            path = os.path.join(tmp, 'disk.img')
            with open(path, 'wb') as f:
                f.write(data or b'')
                f.truncate(max(size, len(data or b'')))
        args = [*([f'--format={fmt}'] if fmt else []), *args, path]
        with nbdtest.Server(args) as server:
            server.image = path
            yield server
            if lives:
                eq(server.proc.poll(), None, 'the server lives')


def until_read(client):
    """Returns when the server has taken all that the client sent off its socket."""
    def is_read():
        unread = bytearray(4)
        fcntl.ioctl(client.sock, termios.TIOCOUTQ, unread)
        return not any(unread)

    until(is_read, 'the server to take what was sent')


def refused(server):
    """Nobody listens on the server's socket any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(server.socket_path)
            return False
        except OSError:
            return True


def rss(server):
    """Bytes of memory that the server has resident."""
    with open(f'/proc/{server.proc.pid}/statm') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def grew_less_than(limit, server, before):
    """Sanitizers keep freed memory for a while: with them this says nothing."""
    grown = rss(server) - before
    assert grown < limit or os.environ.get('SANITIZERS'), f'grew by {grown} bytes'


class Reply:
    """The whole answer to one request."""

    def __init__(self, cmd, offset, length, flags):
        self.cmd, self.offset, self.length, self.flags = cmd, offset, length, flags
        self.error, self.message, self.simple, self.done = 0, None, False, False
        self.chunks = []            # (type, offset, length) in the order they came
        self.extents = {}           # context id -> [(length, status)]
        self.data = None
        self.covered = []
        self.contexts = None        # ids that a block status asks for, if not for all

    def cover(self, start, size):
        must(self.offset <= start and start + size <= self.offset + self.length,
             'content outside the request', start, size)
        for s, e in self.covered:
            must(start >= e or start + size <= s, 'content chunks overlap', start, size)
        self.covered.append((start, start + size))

    def finish(self, contexts):
        self.done = True
        if self.cmd == READ and not self.error:
            total = sum(e - s for s, e in self.covered)
            must(total == self.length, 'a successful read covers all of the request', total)
        if self.flags & DF:
            must(len(self.covered) <= 1, 'DF: at most one content chunk', self.chunks)
        if self.cmd == BLOCK_STATUS and not self.error:
            wanted = contexts if self.contexts is None else self.contexts
            must(set(self.extents) == set(wanted), 'one status chunk a context', self.extents)
        return self


class Client:
    """One connection; `server` is a nbdtest.Server, a (host, port) or a socket."""

    may_want_tls = False            # the server may tell us that it wants TLS

    def __init__(self, server, client_flags=C_FIXED | C_NO_ZEROES):
        self.contexts, self.structured, self.pending = {}, False, {}
        self.extended = False
        self.cookies = itertools.count(1)
        self.go_info = {}
        if isinstance(server, tuple):
            self.sock = socket.create_connection(server, timeout=TIMEOUT)
        elif isinstance(server, socket.socket):
            self.sock = server
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(TIMEOUT)
            self.sock.connect(server.socket_path)
        magic, opts, self.handshake_flags = struct.unpack('>QQH', self.read(18))
        must(magic == NBDMAGIC and opts == IHAVEOPT, 'greeting', hex(magic), hex(opts))
        if client_flags is not None:
            self.send(struct.pack('>I', client_flags))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- bytes ----

    def send(self, data):
        self.sock.sendall(data)

    def read(self, size):
        """Exactly `size` bytes; Closed at an end before the first of them."""
        buf = bytearray(size)
        view, got = memoryview(buf), 0
        while got < size:
            try:
                n = self.sock.recv_into(view[got:])
            except ConnectionError:
                n = 0
            if n == 0:
                must(got == 0, 'closed inside a message after bytes', got, size)
                raise Closed()
            got += n
        return bytes(buf)

    def expect_close(self):
        """The server closes without sending another byte."""
        try:
            data = self.sock.recv(1)
        except ConnectionError:
            data = b''
        must(data == b'', 'the server closes the connection', data)
        self.close()

    def silent(self):
        """Nothing has arrived that was not asked for."""
        return not select.select([self.sock], [], [], 0)[0]

    def close(self):
        self.sock.close()

    # ---- haggling ----

    def send_option(self, option, data=b'', length=None):
        self.send(struct.pack('>QII', IHAVEOPT, option, len(data) if length is None else length)
                  + data)

    def option_reply(self, option):
        magic, echo, kind, length = struct.unpack('>QIII', self.read(20))
        must(magic == REP_MAGIC, 'option reply magic', hex(magic))
        must(echo == option, 'the reply names the option', echo, option)
        must(length <= 64 * K, 'sane reply length', length)
        data = self.read(length) if length else b''
        if kind == REP_ACK:
            must(not data, 'NBD_REP_ACK has no data', data)
        elif kind & REP_ERROR:
            must(ERR_UNSUP <= kind <= ERR_EXT_HEADER_REQD, 'a known error type', hex(kind))
            must(data, 'every error has a text', hex(kind))
            must(kind != ERR_TLS_REQD or self.may_want_tls, 'TLS_REQD where there is TLS, or none')
            must(len(data) <= 4096 and b'\0' not in data, 'the message is a string', data)
            data.decode()
        else:
            must(kind in (REP_SERVER, REP_INFO, REP_META), 'a known reply type', kind)
        return kind, data

    def option(self, option, data=b'', length=None):
        """All replies to an option: [(type, data)...], the last one is final."""
        self.send_option(option, data, length)
        replies = [self.option_reply(option)]
        while not (replies[-1][0] == REP_ACK or replies[-1][0] & REP_ERROR):
            replies.append(self.option_reply(option))
        return replies

    def info(self, name='', requests=(), option=OPT_INFO):
        """(final reply type, {information type: payload})"""
        replies = self.option(option, info_data(name, requests))
        infos = {}
        for kind, data in replies[:-1]:
            must(kind == REP_INFO and len(data) >= 2, 'NBD_REP_INFO', kind, data)
            key = struct.unpack('>H', data[:2])[0]
            must(key not in infos, 'an information type comes once', key)
            infos[key] = data[2:]
        if replies[-1][0] == REP_ACK:
            must(INFO_EXPORT in infos, 'NBD_INFO_EXPORT precedes NBD_REP_ACK')
        if INFO_EXPORT in infos:
            must(len(infos[INFO_EXPORT]) == 10, 'length of NBD_INFO_EXPORT is 12')
            must(infos[INFO_EXPORT][9] & HAS_FLAGS, 'NBD_FLAG_HAS_FLAGS is set')
        if INFO_BLOCK_SIZE in infos:
            must(len(infos[INFO_BLOCK_SIZE]) == 12, 'length of NBD_INFO_BLOCK_SIZE is 14')
        return replies[-1][0], infos

    def go(self, name='', requests=()):
        final, infos = self.info(name, requests, OPT_GO)
        eq(hex(final), hex(REP_ACK), 'NBD_OPT_GO')
        self.size, self.flags = struct.unpack('>QH', infos[INFO_EXPORT])
        must(self.structured or not self.flags & SEND_DF, 'SEND_DF without structured replies')
        must(bool(self.flags & BLOCK_STATUS_PAYLOAD) == bool(self.extended and self.contexts),
             'BLOCK_STATUS_PAYLOAD goes with extended headers and contexts', hex(self.flags))
        self.go_info = infos
        return self

    def negotiate_structured(self):
        eq(self.option(OPT_STRUCTURED), [(REP_ACK, b'')], 'NBD_OPT_STRUCTURED_REPLY')
        self.structured = True
        return self

    def negotiate_extended(self):
        eq(self.option(OPT_EXTENDED), [(REP_ACK, b'')], 'NBD_OPT_EXTENDED_HEADERS')
        self.structured = self.extended = True
        return self

    def meta(self, option, name='', queries=()):
        """(final reply type, {context name: id})"""
        replies = self.option(option, meta_data(name, queries))
        found = {}
        for kind, data in replies[:-1]:
            must(kind == REP_META and len(data) > 4, 'NBD_REP_META_CONTEXT', kind, data)
            context, ident = data[4:].decode(), struct.unpack('>I', data[:4])[0]
            must(context not in found, 'a context is listed once', context)
            found[context] = ident
        if option == OPT_SET_META:
            must(len(set(found.values())) == len(found), 'context ids are unique', found)
            self.contexts = {v: k for k, v in found.items()} if replies[-1][0] == REP_ACK else {}
        return replies[-1][0], found

    def export_name(self, name='', zeroes=False):
        self.send_option(OPT_EXPORT_NAME, name.encode())
        self.size, self.flags = struct.unpack('>QH', self.read(10))
        must(self.flags & HAS_FLAGS, 'NBD_FLAG_HAS_FLAGS is set')
        if zeroes:
            must(self.read(124) == bytes(124), '124 zeroes')
        return self

    # ---- transmission ----

    def request(self, cmd, offset=0, length=0, flags=0, data=b'', cookie=None):
        """Sends a request and remembers it; returns its cookie."""
        cookie = next(self.cookies) if cookie is None else cookie
        if cmd != DISC:
            self.pending[cookie] = Reply(cmd, offset, length, flags)
        if self.extended:
            flags |= PAYLOAD_LEN if cmd == WRITE else 0
            self.send(extended_bytes(cmd, offset, length, flags, cookie) + data)
        else:
            self.send(request_bytes(cmd, offset, length, flags, cookie) + data)
        return cookie

    def status_of(self, offset, length, ids, flags=0):
        """Block status of these contexts only (extended headers)."""
        cookie = next(self.cookies)
        reply = self.pending[cookie] = Reply(BLOCK_STATUS, offset, length, flags)
        reply.contexts = ids
        data = struct.pack(f'>Q{len(ids)}I', length, *ids)
        self.send(extended_bytes(BLOCK_STATUS, offset, len(data), flags | PAYLOAD_LEN, cookie)
                  + data)
        got, reply = self.receive()
        eq(got, cookie, 'cookie')
        return reply

    def receive(self):
        """(cookie, Reply) of the next request whose answer is complete."""
        while True:
            magic = struct.unpack('>I', self.read(4))[0]
            must(self.extended == (magic == EXTENDED_MAGIC), 'magic', hex(magic), self.extended)
            if magic == SIMPLE_MAGIC:
                cookie, reply = self.simple_reply()
            elif magic == EXTENDED_MAGIC:
                cookie, reply = self.chunk()
            else:
                must(magic == STRUCTURED_MAGIC, 'reply magic', hex(magic))
                must(self.structured, 'structured replies were not negotiated')
                cookie, reply = self.chunk()
            if reply.done:
                del self.pending[cookie]
                return cookie, reply

    def call(self, cmd, offset=0, length=0, flags=0, data=b''):
        """One request and its reply, nothing else in flight."""
        cookie = self.request(cmd, offset, length, flags, data)
        got, reply = self.receive()
        eq(got, cookie, 'cookie')
        return reply

    def ok(self, *args, **kwargs):
        reply = self.call(*args, **kwargs)
        eq((reply.error, reply.message), (0, None), 'request')
        return reply

    def pread(self, offset, length):
        return self.ok(READ, offset, length).data

    def pwrite(self, offset, data, flags=0):
        return self.ok(WRITE, offset, len(data), flags, data)

    def disconnect(self):
        self.request(DISC)
        self.expect_close()

    def simple_reply(self):
        error, cookie = struct.unpack('>IQ', self.read(12))
        must(cookie in self.pending, 'cookie of a request in flight', cookie)
        reply = self.pending[cookie]
        must(not (self.structured and reply.cmd == READ), 'a simple reply to a structured READ')
        must(not reply.chunks, 'a simple reply after chunks')
        must(error == 0 or error in ERRORS, 'an NBD error value', error)
        reply.error, reply.simple = error, True
        if reply.cmd == READ and not error:
            reply.data = self.read(reply.length) if reply.length else b''
            reply.cover(reply.offset, reply.length)
        return cookie, reply.finish(self.contexts)

    def chunk(self):
        if self.extended:
            flags, kind, cookie, offset, length = struct.unpack('>HHQQQ', self.read(28))
        else:
            flags, kind, cookie, length = struct.unpack('>HHQI', self.read(16))
        must(flags in (0, DONE), 'chunk flags', flags)
        must(cookie in self.pending, 'cookie of a request in flight', cookie)
        must(length <= 64 * M, 'sane chunk length', length)
        reply = self.pending[cookie]
        if self.extended:
            eq(offset, reply.offset, 'the reply names the offset of the request')
        payload = self.read(length) if length else b''
        if kind == NONE:
            must(length == 0 and flags & DONE, 'NBD_REPLY_TYPE_NONE is empty and last')
        elif kind == OFFSET_DATA:
            must(reply.cmd == READ and length >= 9, 'data chunk', length)
            self.content(reply, kind, struct.unpack('>Q', payload[:8])[0], payload[8:])
        elif kind == OFFSET_HOLE:
            must(reply.cmd == READ and length == 12, 'hole chunk', length)
            start, size = struct.unpack('>QI', payload)
            must(size > 0 and not reply.flags & DF, 'a hole is not empty, nor sent with DF')
            self.content(reply, kind, start, bytes(size))
        elif kind == (STATUS_EXT if self.extended else STATUS):
            self.status(reply, payload)
        else:
            must(kind in (ERROR, ERROR_OFFSET), 'chunk type', kind)
            self.error_chunk(reply, kind, payload)
        return cookie, reply.finish(self.contexts) if flags & DONE else reply

    def content(self, reply, kind, start, data):
        reply.cover(start, len(data))
        reply.chunks.append((kind, start, len(data)))
        if reply.data is None:
            reply.data = bytearray(reply.length)
        at = start - reply.offset
        reply.data[at:at + len(data)] = data

    def status(self, reply, payload):
        must(reply.cmd == BLOCK_STATUS, 'a status chunk answers BLOCK_STATUS')
        head, form = (8, '>QQ') if self.extended else (4, '>II')
        size = struct.calcsize(form)
        must(len(payload) >= head + size and (len(payload) - head) % size == 0,
             'length of a status chunk', len(payload))
        ident = struct.unpack('>I', payload[:4])[0]
        must(ident in self.contexts and ident not in reply.extents, 'context id', ident)
        extents = list(struct.iter_unpack(form, payload[head:]))
        if self.extended:
            eq(struct.unpack('>I', payload[4:8])[0], len(extents), 'descriptor count')
        must(all(n > 0 for n, _ in extents), 'an extent is not empty', extents)
        if self.contexts[ident] == 'base:allocation':
            must(all(s & ~(HOLE | ZERO) == 0 for _, s in extents), 'reserved status bits', extents)
        must(sum(n for n, _ in extents[:-1]) < reply.length, 'only the last extent may go beyond')
        if reply.flags & REQ_ONE:
            must(len(extents) == 1 and extents[0][0] <= reply.length, 'REQ_ONE', extents)
        reply.extents[ident] = extents

    def error_chunk(self, reply, kind, payload):
        must(len(payload) >= (6 if kind == ERROR else 14), 'length of an error chunk', len(payload))
        error, size = struct.unpack('>IH', payload[:6])
        must(error in ERRORS, 'an NBD error value', error)
        rest = len(payload) - 6 - size
        must(size <= 4096 and rest == (0 if kind == ERROR else 8), 'message length', size, rest)
        message = payload[6:6 + size]
        must(message and b'\0' not in message, 'the message is a string, and there is one', message)
        if kind == ERROR_OFFSET:
            at = struct.unpack('>Q', payload[-8:])[0]
            must(reply.offset <= at < reply.offset + reply.length, 'error offset', at)
        reply.error, reply.message = error, message.decode()


def info_data(name, requests=()):
    name = name.encode()
    data = struct.pack('>I', len(name)) + name
    return data + struct.pack(f'>H{len(requests)}H', len(requests), *requests)


def meta_data(name, queries=()):
    name = name.encode()
    data = struct.pack('>I', len(name)) + name + struct.pack('>I', len(queries))
    return data + b''.join(struct.pack('>I', len(q.encode())) + q.encode() for q in queries)


def request_bytes(cmd, offset=0, length=0, flags=0, cookie=0, magic=REQUEST_MAGIC):
    return struct.pack('>IHHQQI', magic, flags, cmd, cookie, offset, length)


def extended_bytes(cmd, offset=0, length=0, flags=0, cookie=0, magic=EXTENDED_REQUEST_MAGIC):
    return struct.pack('>IHHQQQ', magic, flags, cmd, cookie, offset, length)


def connect(server, structured=False, allocation=False, name='', extended=False, contexts=()):
    """A client in the transmission phase."""
    client = Client(server)
    contexts = [*(['base:allocation'] if allocation else []), *contexts]
    if extended:
        client.negotiate_extended()
    elif structured or contexts:
        client.negotiate_structured()
    if contexts:
        final, found = client.meta(OPT_SET_META, name, contexts)
        eq((final, sorted(found)), (REP_ACK, sorted(contexts)), 'NBD_OPT_SET_META_CONTEXT')
    return client.go(name)


def socket_of_another(server):
    """A socket that another process has connected: to the server, another client's."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(server.socket_path)
            socket.send_fds(theirs, [b'.'], [sock.fileno()])
        finally:
            os._exit(0)
    theirs.close()
    fds = socket.recv_fds(ours, 1, 1)[1]
    os.waitpid(child, 0)
    ours.close()
    fd, = fds
    sock = socket.socket(fileno=fd)
    sock.settimeout(TIMEOUT)
    return sock


def every_form(server, name=''):
    """Clients one after another: with simple, structured and extended replies."""
    for options in ({}, {'structured': True}, {'extended': True}):
        with connect(server, name=name, **options) as client:
            yield client


def still_serves(server):
    """A newcomer is served."""
    with connect(server) as client:
        eq(len(client.pread(0, 512)), 512, 'read')
        client.disconnect()
