#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that leaves in the middle of any handshake message costs the server nothing."""
import struct

from rawnbd import IHAVEOPT, OPT_GO, OPT_LIST, Client, info_data, served, still_serves

with served() as server:
    go = info_data('', [0, 1, 2, 3])
    whole = (struct.pack('>I', 3) + struct.pack('>QII', IHAVEOPT, OPT_LIST, 0) +
             struct.pack('>QII', IHAVEOPT, OPT_GO, len(go)) + go)
    for cut in range(len(whole) + 1):
        with Client(server, client_flags=None) as client:
            client.send(whole[:cut])
    still_serves(server)
