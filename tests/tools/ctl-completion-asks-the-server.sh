#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Bash completes commands and options of nbd-ctl out of its table, and names of what the running
# server has; a server that does not answer does not hold up the shell.
source "$(dirname "$0")/../functions.sh"

source "$abs_top_srcdir/completions/nbd-ctl"
PATH=${NBD_EXPORT%/*}:$PATH
unset NBD_EXPORT_QMP
truncate -s 1M "$tmp/disk" "$tmp/disk2"
cd "$tmp"
start_server --qmp="$tmp/q" --export "name=web-1,format=raw,image=$tmp/disk" \
    --export "name=web two,format=raw,image=$tmp/disk2"

# completes LINE WORD...: these, in any order, are what the end of the line can become.  On a busy
# machine the server may be late with its names now and then.
completes() {
    local line=$1

    shift
    printf '%s\n' "$@" | sort >"$tmp/want"
    for _ in 1 2 3 4 5; do
        COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
        _nbd_ctl
        printf '%s\n' "${COMPREPLY[@]}" | sort >"$tmp/got"
        ! cmp -s "$tmp/want" "$tmp/got" || return 0
    done
    diff -u "$tmp/want" "$tmp/got" || fail "$line"
}

completes "nbd-ctl sta" "status "
completes "nbd-ctl --json jobs " "cancel " "complete " "dismiss " "pause " "resume " "speed "
completes "nbd-ctl export a" "add "
completes "nbd-ctl throttle --iops-" "--iops-read=" "--iops-write="
completes "nbd-ctl eject --f" "--force "
completes "nbd-ctl on-error --read=s" "stop "
completes "nbd-ctl on-error --write e" "enospc "
completes "nbd-ctl log-level no" "notice "
completes "nbd-ctl insert web-1 dis" "disk " "disk2 "
completes "nbd-ctl --socket=dis" "disk " "disk2 "
completes "nbd-ctl export add re" "read-only="

# Names of the server; one that may be left out may have been.
completes "nbd-ctl -s q status w" "web-1 " "web\\ two "
completes "nbd-ctl --socket q cache " "web-1 " "web\\ two " "on " "off "
completes "nbd-ctl --socket=q cache web-1 " "on " "off "
completes "nbd-ctl kick --export=web-" ""
NBD_EXPORT_QMP=$tmp/q
export NBD_EXPORT_QMP
completes "nbd-ctl kick --export=web-" "web-1 "
completes "nbd-ctl throttle web-" "web-1 "
completes "nbd-ctl export del --hide web-" "web-1 "
completes "nbd-ctl qmp x-query-e" "x-query-exports "

# Stopped, it accepts connections and says nothing.  Whoever waits gets names after all.
kill -STOP "$server_pid"
mkfifo "$tmp/never"
{ read -r -t 30 <>"$tmp/never" || kill -CONT "$server_pid"; } &
waker=$!
completes "nbd-ctl status w" ""
kill "$waker"
kill -CONT "$server_pid"
stop_server
completes "nbd-ctl status w" ""
