#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""NBD_CMD_FLAG_PAYLOAD_LEN says that data follow, whatever the command: a command that takes none
is EINVAL and its data are skipped; a write needs it; compact headers do not know it; a payload
beyond the maximum ends the connection, and only that one."""
from rawnbd import (BLOCK_STATUS, CACHE, DISC, EINVAL, ENOSPC, FLUSH, M, PAYLOAD_LEN, READ, TRIM,
                    WRITE, WRITE_ZEROES, Reply, connect, eq, extended_bytes, served, still_serves)


def call(client, cmd, offset, length, flags, data=b''):
    """Exactly these bytes; the error of the reply."""
    client.pending[7] = Reply(cmd, offset, length, 0)
    client.send(extended_bytes(cmd, offset, length, flags, 7) + data)
    return client.receive()[1].error


with served() as server:
    with connect(server, extended=True) as client:
        for cmd in READ, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, 77:
            for size in 1, 12, 20000, 3 * M:
                eq(call(client, cmd, 0, size, PAYLOAD_LEN, bytes(size)), EINVAL, f'{cmd} {size}')
        eq(call(client, WRITE, 0, 512, 0), EINVAL, 'a write without it')
        eq(call(client, WRITE, 0, 0, PAYLOAD_LEN), 0, 'an empty write')
        eq(call(client, WRITE, M - 512, 1024, PAYLOAD_LEN, bytes(1024)), ENOSPC, 'past the end')
        eq(call(client, WRITE, 512, 3, PAYLOAD_LEN, b'abc'), 0, 'a write')
        eq(bytes(client.pread(511, 5)), b'\0abc\0', 'what it wrote')
        client.disconnect()
    for length in 32 * M + 1, 1 << 32, 1 << 63, (1 << 64) - 1:
        for cmd in WRITE, TRIM:
            with connect(server, extended=True) as client:
                client.send(extended_bytes(cmd, 0, length, PAYLOAD_LEN, 1))
                client.expect_close()
    with connect(server, extended=True) as client:
        client.send(extended_bytes(DISC, 0, 5, PAYLOAD_LEN, 1))
        client.expect_close()
    with connect(server, structured=True) as client:
        eq(client.call(TRIM, 0, 512, PAYLOAD_LEN).error, EINVAL, 'compact')
        eq(client.call(WRITE, 0, 512, PAYLOAD_LEN, bytes(512)).error, EINVAL, 'compact')
        client.disconnect()
    still_serves(server)
