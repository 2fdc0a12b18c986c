#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GO and INFO give size and flags always; name, description and block sizes when asked."""
import struct

from rawnbd import (INFO_BLOCK_SIZE, INFO_DESCRIPTION, INFO_EXPORT, INFO_NAME, M, OPT_GO, OPT_INFO,
                    REP_ACK, Client, eq, served)

with served('--export-name=disk', '--description=the äöü disk', size=3 * M) as server:
    for option in OPT_INFO, OPT_GO:
        with Client(server) as client:
            final, infos = client.info('disk', [0, 1, 2, 3], option)
            eq(final, REP_ACK, 'final reply')
            eq(set(infos), {INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE}, 'infos')
            eq(struct.unpack('>Q', infos[INFO_EXPORT][:8])[0], 3 * M, 'size')
            eq(infos[INFO_NAME].decode(), 'disk', 'name')
            eq(infos[INFO_DESCRIPTION].decode(), 'the äöü disk', 'description')
    with Client(server) as client:
        final, infos = client.info('disk')
        assert INFO_EXPORT in infos, 'NBD_INFO_EXPORT comes unasked'
