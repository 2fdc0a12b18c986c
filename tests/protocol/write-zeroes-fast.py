#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""FAST_ZERO zeroes the range or fails with ENOTSUP and changes nothing."""
from rawnbd import (ENOTSUP, FAST_ZERO, M, NO_HOLE, SEND_FAST_ZERO, WRITE_ZEROES, eq, every_form,
                    served)

for args in [], ['--discard=unmap']:
    with served(*args, size=4 * M) as server:
        for client in every_form(server):
            assert client.flags & SEND_FAST_ZERO, 'SEND_FAST_ZERO'
            for flags in FAST_ZERO, FAST_ZERO | NO_HOLE:
                client.pwrite(0, b'\x66' * 4 * M)
                error = client.call(WRITE_ZEROES, M, 2 * M, flags).error
                assert error in (0, ENOTSUP), error
                want = b'\x66' * M + (b'\x66' if error else b'\0') * 2 * M + b'\x66' * M
                eq(client.pread(0, 4 * M) == want, True, f'data after error {error}')
                eq(client.call(WRITE_ZEROES, M, 2 * M, flags & ~FAST_ZERO).error, 0, 'without')
            client.disconnect()
