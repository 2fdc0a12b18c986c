#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Debian's libnbd: hundreds of commands in flight on several connections, each completes once.
source "$(dirname "$0")/common.sh"
/usr/bin/python3 -c 'import nbd' 2>/dev/null || skip "python3-libnbd is not installed"

truncate -s 16M "$tmp/disk"
start_server --format=raw "$tmp/disk"
uri=$uri /usr/bin/python3 -B - <<'END'
import os

import nbd

handles = []
for _ in range(4):
    h = nbd.NBD()
    h.connect_uri(os.environ['uri'])
    assert h.can_multi_conn() and h.get_structured_replies_negotiated()
    handles.append(h)
cookies = []
for i in range(400):
    h = handles[i % 4]
    cookies.append((h, h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([i % 256]) * 4096),
                                    i * 4096)))
for h, cookie in cookies:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
handles[3].flush()
buffers = []
for i in range(400):
    h = handles[(i + 1) % 4]
    buffer = nbd.Buffer(4096)
    buffers.append((h, h.aio_pread(buffer, i * 4096), buffer, i))
for h, cookie, buffer, i in buffers:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
    assert buffer.to_bytearray() == bytearray([i % 256]) * 4096, i
for h in handles:
    h.shutdown()
END
