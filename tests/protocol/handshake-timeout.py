#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who does not finish the handshake within --handshake-timeout is disconnected; who has, is not."""
from rawnbd import OPT_LIST, Client, connect, eq, served

with served('--handshake-timeout=1', data=b'here') as server, connect(server) as quiet:
    with Client(server, client_flags=None) as mute, Client(server) as haggling, \
            Client(server) as half:
        haggling.option(OPT_LIST)
        half.send(b'IHAVE')
        for client in mute, haggling, half:
            client.expect_close()
    eq(quiet.pread(0, 4), b'here', 'a client in the transmission phase')
    quiet.disconnect()
