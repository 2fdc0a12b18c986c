# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What several of the tests in this folder need, beyond tests/functions.sh.

source "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"

# Debian keeps nbd-client and mkfs where only root looks.
PATH=$PATH:/usr/sbin:/sbin

# A cleanup_fn for a process that may have ended by then.
end_process() {
    kill -KILL "$1" 2>/dev/null && wait "$1" 2>/dev/null
}

# A TCP port that is free on every address, as the kernel says.
free_port() {
    /usr/bin/python3 -c '
import socket
try:
    s = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
except (OSError, ValueError):
    s = socket.create_server(("", 0))
print(s.getsockname()[1])'
}

# start_strace CALL,...: writes the server's system calls to $tmp/strace from now on.
start_strace() {
    rm -f "$tmp/strace" "$tmp/strace.err"
    mkfifo "$tmp/strace.err"
    strace -f -e trace="$1" -o "$tmp/strace" -p "$server_pid" 2>"$tmp/strace.err" &
    strace_pid=$!
    cleanup_fn end_process $strace_pid
    exec 9<>"$tmp/strace.err"
    read -r -u 9 line
    case $line in
        *attached*) ;;
        *) skip "strace cannot attach: $line" ;;
    esac
}

# stop_strace: lets go of the server; $tmp/strace is then complete.
stop_strace() {
    kill -TERM "$strace_pid"
    wait "$strace_pid" || true
}

# refused MESSAGE ARG...: nbd-export ends with that message.
refused() {
    local message=$1
    shift
    if timeout 60 "$NBD_EXPORT" --socket="$tmp/no" "$@" 2>"$tmp/err"; then
        fail "accepted: $*"
    fi
    grep -qF -- "$message" "$tmp/err" || fail "no \"$message\" in: $(cat "$tmp/err")"
}
