#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""On TCP, one more connection of a client waits for writes of those it has, which go on as before."""
import re

from rawnbd import M, READ, WRITE, connect, eq, nbdtest, served, until

disk = nbdtest.disk(M)
options = (f'driver=blkdebug,image.driver=file,image.filename={disk},inject-error.0.sector=8,'
           'inject-error.0.iotype=write,inject-error.0.once=on,inject-error.0.delay-ns=400000000')
with served('-vv', '--bind=127.0.0.1:0', '--image-opts', image=options, fmt=None) as server:
    where = '127.0.0.1', int(re.search(r'listening on 127\.0\.0\.1:(\d+)', server.log())[1])
    with connect(where) as reader, connect(where) as writer:
        writer.request(WRITE, 4096, 4096, data=b'o' * 4096, cookie=0xabc)
        until(lambda: 'request abc: ' in server.log(), 'the write to begin')
        for _ in range(20):
            reader.request(READ, 0, 4096)
        with connect(where) as newcomer:
            assert 'request abc: done' in server.log(), 'the newcomer did not wait'
            newcomer.pwrite(4096, b'n' * 4096)
            eq(newcomer.pread(4096, 4096) == b'n' * 4096, True, 'the newer data')
        eq(writer.receive()[1].error, 0, 'the write')
        for _ in range(20):
            eq(reader.receive()[1].error, 0, 'a read')
        for client in reader, writer:
            client.pwrite(8192, b'w' * 4096)
            client.disconnect()
