# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# NBD servers for the driver nbd to be a client of.

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BLK_IO=${BLK_IO:-$abs_top_builddir/blk-io}
BLK_IMG=${BLK_IMG:-$abs_top_builddir/blk-img}

requires nbdinfo
"$BLK_IMG" --help | grep '^Supported formats:.* nbd\b' >/dev/null ||
    skip "this build has no driver nbd"

# start_nbdkit ARG...: sets far_pid.  It writes its number when clients can connect.
start_nbdkit() {
    rm -f "$tmp/nbdkit.pid"
    mkfifo "$tmp/nbdkit.pid"
    nbdkit --pidfile="$tmp/nbdkit.pid" "$@"
    read -r far_pid <"$tmp/nbdkit.pid"
    cleanup_fn end_process "$far_pid"
}

far_nbdkit() {
    start_nbdkit --unix="$tmp/far" "$@"
    far_uri="nbd+unix:///?socket=$tmp/far"
}

far_qemu_nbd() {
    qemu-nbd --fork --persistent --shared=8 --socket="$tmp/far" --pid-file="$tmp/far.pid" "$@"
    far_pid=$(cat "$tmp/far.pid")
    cleanup_fn end_process "$far_pid"
    far_uri="nbd+unix:///?socket=$tmp/far"
}

far_nbd_server() {
    local port

    port=$(free_port)
    printf '%s\n' '[generic]' 'allowlist = true' "port = $port" 'listenaddr = 127.0.0.1' \
        '[disk]' "exportname = $1" 'flush = true' 'fua = true' 'trim = true' >"$tmp/nbd-server.conf"
    rm -f "$tmp/nbd-server.pid"
    mkfifo "$tmp/nbd-server.pid"
    nbd-server -C "$tmp/nbd-server.conf" -p "$tmp/nbd-server.pid" >"$tmp/nbd-server.log" 2>&1 ||
        skip "nbd-server does not start here"
    read -r far_pid <"$tmp/nbd-server.pid"
    cleanup_fn end_process "$far_pid"
    # It writes its number before it listens.
    "$BLK_IMG" info \
        --image-opts driver=nbd,host=127.0.0.1,port="$port",export=disk,open-timeout=60 \
        >/dev/null
    far_uri="nbd://127.0.0.1:$port/disk"
}

far_nbd_export() {
    start_server --format=raw --discard=unmap "$@"
    far_pid=$server_pid
    # shellcheck disable=SC2034 # for the test
    far_uri=$uri
}

stop_far() {
    kill -TERM "$far_pid"
    tail --pid="$far_pid" -f /dev/null
    rm -f "$tmp/far"
}
