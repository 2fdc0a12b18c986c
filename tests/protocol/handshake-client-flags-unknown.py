#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The server closes at client flags that it does not know ("Client flags")."""
from rawnbd import Client, served, still_serves

with served() as server:
    for bit in (2, 3, 15, 16, 31):
        with Client(server, client_flags=3 | 1 << bit) as client:
            client.expect_close()
    still_serves(server)
