#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A write beyond the process's file size limit (ulimit -f) fails; the server lives on.
source "$(dirname "$0")/common.sh"

truncate -s 8M "$tmp/disk"
ulimit -f 1024                  # KiB
start_server --format=raw "$tmp/disk"
uri=$uri /usr/bin/python3 -B - <<'END'
import errno
import os

import nbd

h = nbd.NBD()
h.connect_uri(os.environ['uri'])
for flags in 0, nbd.CMD_FLAG_FUA:
    h.pwrite(b'x' * 4096, 0, flags)
    try:
        h.pwrite(b'x' * 4096, 4 << 20, flags)
        raise SystemExit('a write past the limit succeeds')
    except nbd.Error as e:
        assert e.errnum == errno.ENOSPC, e
h.flush()
assert h.pread(4096, 0) == b'x' * 4096
h.shutdown()
END
stop_server
