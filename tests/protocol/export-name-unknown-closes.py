#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""EXPORT_NAME of no such export ends the session without a reply."""
from rawnbd import OPT_EXPORT_NAME, Client, served

with served('--export-name=disk') as server:
    for name in 'nonesuch', 'dis', 'disk2', 'Disk', 'x' * 4096:
        with Client(server) as client:
            client.send_option(OPT_EXPORT_NAME, name.encode())
            client.expect_close()
    with Client(server) as client:
        client.export_name('disk').disconnect()
