# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# For shell tests: source it first.  It gives the test a folder of its own,
# starts servers in it, and at the end stops and removes whatever is left.
#
#     source "$(dirname "$0")/../functions.sh"
#     requires nbdinfo
#     truncate -s 1M "$tmp/disk"
#     start_server --format=raw "$tmp/disk"
#     nbdinfo "$uri"

set -e -u -o pipefail

NBD_EXPORT=${NBD_EXPORT:-$PWD/nbd-export}
abs_top_srcdir=${abs_top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
abs_top_builddir=${abs_top_builddir:-$(dirname "$NBD_EXPORT")}
ENGINE=${ENGINE:-auto}
PATH=$PATH:/usr/sbin:/sbin

# Short: the path of a unix socket holds 107 bytes.
tmp=$(mktemp -d /tmp/blk-XXXXXX)
export TMPDIR=$tmp

cleanup_commands=()
server_pids=()
server_count=0

# cleanup_fn COMMAND ARG...: runs at the end, the last one first.
cleanup_fn() {
    cleanup_commands+=("$(printf '%q ' "$@")")
}

at_exit() {
    local status=$? i pid log

    trap '' INT TERM
    set +e
    for pid in "${server_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    for ((i = ${#cleanup_commands[@]} - 1; i >= 0; i--)); do
        eval "${cleanup_commands[i]}"
    done
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for log in "$tmp"/server*.log; do
            [ -s "$log" ] && { echo "--- ${log##*/}"; cat "$log"; }
        done
    fi
    rm -rf "$tmp"
    exit "$status"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# skip REASON...
skip() {
    echo "$*"
    exit 77
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# requires COMMAND...: skips the test where one of them is missing.
requires() {
    local command

    for command; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}

# A TCP port that nobody listens on now.
free_port() {
    "${PYTHON3:-python3}" -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# start_server ARG...: nbd-export on a unix socket, ready to be connected to.
# Sets server_pid, server_log, sock and uri.  Further calls start further servers.
start_server() {
    local n=$server_count ready

    server_count=$((n + 1))
    sock=$tmp/sock$n
    # shellcheck disable=SC2034 # for the test
    uri="nbd+unix:///?socket=$sock"
    server_log=$tmp/server$n.log
    mkfifo "$tmp/ready$n"
    "$NBD_EXPORT" --aio="$ENGINE" --socket="$sock" --ready-fd=3 "$@" \
        >"$tmp/server$n.out" 2>"$server_log" 3>"$tmp/ready$n" </dev/null &
    server_pid=$!
    server_pids+=("$server_pid")
    # The end of file that comes instead of READY is the end of the server.
    read -r ready <"$tmp/ready$n" || true
    [ "$ready" = READY ] || fail "nbd-export did not start: $NBD_EXPORT --aio=$ENGINE $*"
}

# stop_server [SIGNAL]: sends it to the last server started and returns its exit status.
stop_server() {
    local n=$((${#server_pids[@]} - 1)) status=0

    kill -"${1:-TERM}" "$server_pid"
    wait "$server_pid" || status=$?
    unset "server_pids[$n]"
    return $status
}
