#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the fua filter makes of FUA and flushes is what the image's lowest layer sees.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

# seen MODE CONDITION PYTHON: with that fuamode= (if any), how many flushes have got to the
# file when a client has done it, and is still there.
seen() {
    run_nbdkit --filter=fua "${plugin[@]}" ${1:+"fuamode=$1"} discard=unmap \
        image-opts="driver=$format,$(blkdebug_file),file.log=$tmp/log"
    echo "$*"
    PYTHON=$3 CONDITION=$2 LOG=$tmp/log python_nbd <<'END'
open(os.environ['LOG'], 'w').close()
exec(os.environ['PYTHON'])
log = open(os.environ['LOG']).read()
n = sum(l[0] == '>' and 'flush-to-disk' in l for l in log.splitlines())
assert eval('n ' + os.environ['CONDITION']), log
END
    stop_server || fail "status $?"
}

blkdebug_file() {
    echo "file.driver=blkdebug,file.image.driver=file,file.image.filename=$image"
}

# shellcheck disable=SC2016 # Python
under_fua() {
    local write='h.pwrite(b"x" * 65536, 0' format=$1

    seen pass '>= 1' "$write, nbd.CMD_FLAG_FUA)"
    seen pass '== 0' "$write)"
    seen emulate '>= 1' "$write, nbd.CMD_FLAG_FUA)"
    seen native '>= 1' "$write, nbd.CMD_FLAG_FUA)"
    seen force '>= 1' "$write)"
    seen discard '== 0' "$write, nbd.CMD_FLAG_FUA); h.flush()"
    seen '' '== 0' "$write); assert not h.can_fua()"
    seen '' '>= 1' "$write); h.flush()"
}
for_each_format under_fua
