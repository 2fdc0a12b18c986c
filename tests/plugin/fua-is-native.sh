#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# FUA on a write or zero write gets down to the image as FUA, on a trim as a flush behind it.
source "$(dirname "$0")/common.sh"

truncate -s 1M "$tmp/disk"

# logs NATIVE WANT PYTHON: WANT is what the image is asked for.
logs() {
    run_nbdkit "${plugin[@]}" image-opts="driver=blkdebug,image.driver=file,\
image.filename=$tmp/disk,log=$tmp/log,native-fua=$1"
    PYTHON=$3 LOG=$tmp/log WANT=$2 python_nbd <<'END'
open(os.environ['LOG'], 'w').close()
exec(os.environ['PYTHON'])
got = [l.split() for l in open(os.environ['LOG']) if l[0] == '>']
got = ';'.join(w[2] + ('' if w[5] == '-' else ':' + w[5]) for w in got)
assert got == os.environ['WANT'], got
END
    stop_server || fail "status $?"
}

flush='flush-to-os;flush-to-disk'
logs on write:fua 'h.pwrite(b"x" * 4096, 0, nbd.CMD_FLAG_FUA)'
logs off "write;$flush" 'h.pwrite(b"x" * 4096, 0, nbd.CMD_FLAG_FUA)'
logs on write 'h.pwrite(b"x" * 4096, 0)'
logs on write-zeroes:fua,unmap 'h.zero(65536, 0, nbd.CMD_FLAG_FUA)'
logs on write-zeroes 'h.zero(65536, 0, nbd.CMD_FLAG_NO_HOLE)'
logs on "discard;$flush" 'h.trim(65536, 0, nbd.CMD_FLAG_FUA)'
logs on discard 'h.trim(65536, 0)'
logs on "$flush" 'h.flush()'
