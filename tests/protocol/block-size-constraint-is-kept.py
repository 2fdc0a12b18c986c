#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is not a multiple of an announced minimum block size is EINVAL and changes nothing."""
import struct

from rawnbd import (CACHE, EINVAL, INFO_BLOCK_SIZE, K, READ, TRIM, WRITE, WRITE_ZEROES, Client, eq,
                    served)

with served('--cache=none', size=64 * K, data=b'\x77' * 64 * K) as server:
    with Client(server) as client:
        client.go('', [INFO_BLOCK_SIZE])
        least = struct.unpack('>I', client.go_info[INFO_BLOCK_SIZE][:4])[0]
        for cmd in READ, WRITE, TRIM, CACHE, WRITE_ZEROES:
            for offset, length in (1, 4096), (0, 4095), (511, 1), (least // 2, least):
                data = b'\x77' * (length if cmd in (WRITE,) else 0)
                reply = client.call(cmd, offset, length, data=data)
                aligned = (offset | length) % least == 0
                eq(reply.error, 0 if aligned else EINVAL, f'{cmd} at {offset}+{length} of {least}')
        if least > 1:
            eq(client.pread(0, 64 * K), b'\x77' * 64 * K, 'nothing was changed')
