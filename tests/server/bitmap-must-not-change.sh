#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A dirty bitmap that is exported must not change: one that records is refused unless the image is
# read-only.  Bitmaps that are not to be had are named.
source "$(dirname "$0")/../functions.sh"
requires qemu-img qemu-io nbdinfo

cd "$tmp"
qemu-img create -q -f qcow2 disk.qcow2 1M
qemu-img bitmap --add disk.qcow2 recording
qemu-img bitmap --add --disable disk.qcow2 still

refused() {   # MESSAGE OPTION...
    local message=$1

    shift
    ! "$NBD_EXPORT" --socket="$tmp/no" --format=qcow2 "$@" disk.qcow2 2>err ||
        fail "$* was accepted"
    grep -qF -- "$message" err || { cat err; fail "$*: not said: $message"; }
}
refused "Bitmap 'recording' records the clients' writes" --bitmap=recording
refused "Bitmap 'none' is not found" --bitmap=still --bitmap=none
refused '--bitmap: "still" is given twice' --bitmap=still --bitmap=still
# shellcheck disable=SC2046 # many words
refused "32 bitmaps are too many" $(printf -- "--bitmap=%s " {1..32})

# With writes going on the still one says what it said before.
start_server --format=qcow2 --bitmap=still disk.qcow2
qemu-io -f raw -c 'write 0 64k' "nbd+unix:///?socket=$sock" >/dev/null
[ "$(nbdinfo --map=qemu:dirty-bitmap:still "$uri" | awk '{ print $1, $2, $3 }')" = "0 1048576 0" ]
stop_server
start_server --read-only --format=qcow2 --bitmap=recording disk.qcow2
nbdinfo --map=qemu:dirty-bitmap:recording "$uri" | grep -q dirty
