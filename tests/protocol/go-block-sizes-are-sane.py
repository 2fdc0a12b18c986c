#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The announced block sizes keep the rules of "Size constraints"."""
import struct

from rawnbd import INFO_BLOCK_SIZE, K, M, REP_ACK, Client, eq, served


def power_of_two(n):
    return n > 0 and n & (n - 1) == 0


for args in [], ['--cache=none'], ['--read-only']:
    with served(*args, size=2 * M) as server, Client(server) as client:
        final, infos = client.info('', [INFO_BLOCK_SIZE])
        eq(final, REP_ACK, 'INFO')
        least, best, most = struct.unpack('>III', infos[INFO_BLOCK_SIZE])
        assert power_of_two(least) and least <= 64 * K, f'minimum {least}'
        assert power_of_two(best) and best >= max(least, 512), f'preferred {best}'
        assert most >= 32 * M, f'maximum {most}'
        eq(2 * M % least, 0, 'the size is a multiple of the minimum')
