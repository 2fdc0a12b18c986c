#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""NBD_FLAG_ROTATIONAL: as --rotational says, by itself what the kernel says of the image's disk."""
import os

from rawnbd import ROTATIONAL, connect, eq, served


def kernel_says(path):
    dev = os.stat(path).st_dev
    for where in 'queue', '../queue':
        try:
            with open(f'/sys/dev/block/{os.major(dev)}:{os.minor(dev)}/{where}/rotational') as f:
                return f.read().strip() == '1'
        except OSError:
            pass
    return False


for option, want in (['--rotational=on'], True), (['--rotational=off'], False), ([], None):
    with served(*option) as server, connect(server) as client:
        eq(bool(client.flags & ROTATIONAL), kernel_says(server.image) if want is None else want,
           repr(option))
        client.disconnect()
