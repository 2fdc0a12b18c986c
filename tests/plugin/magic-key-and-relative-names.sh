#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A bare word is the image, and relative names count from where nbdkit was started, also in the
# background, where its folder is another one.
source "$(dirname "$0")/common.sh"
requires qemu-img qemu-io

make_image qcow2 1M
cd "$tmp"
mkfifo pid

# background KEY...: the image can be used when nbdkit has gone to the background.
background() {
    local server

    sock=$tmp/background.sock
    # shellcheck disable=SC2034 # for guest
    uri="nbd+unix:///?socket=$sock"
    # shellcheck disable=SC2154 # in common.sh
    "${preload[@]}" nbdkit -U "$sock" -P /dev/fd/3 "${plugin[@]}" "$@" 3>"$tmp/pid" &
    read -r server <"$tmp/pid"
    cleanup_fn end_background "$server"
    guest 'write -P 5 0 64k' 'read -P 5 0 64k' || fail "$*"
    kill "$server"
    tail -f /dev/null --pid="$server"
    rm -f "$sock"
}

end_background() {
    kill -KILL "$1" 2>/dev/null
}

background disk.qcow2
background ./disk.qcow2 format=qcow2
background image-opts=driver=qcow2,file.filename=disk.qcow2
background 'json:{"driver": "qcow2", "file": {"driver": "file", "filename": "disk.qcow2"}}'
qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 overlay.qcow2
background overlay.qcow2
