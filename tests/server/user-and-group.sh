#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# --user and --group: the rights are gone once the server is ready, in all threads; what was open
# stays in use.

source "$(dirname "$0")/../functions.sh"
requires qemu-io

truncate -s 1M "$tmp/disk"
refused() {
    local message=$1
    shift
    if "$NBD_EXPORT" --socket="$tmp/no" --format=raw "$@" "$tmp/disk" >/dev/null 2>"$tmp/err"; then
        fail "accepted: $*"
    fi
    grep -qF -- "$message" "$tmp/err" || fail "no \"$message\" in: $(cat "$tmp/err")"
}
refused 'there is no user "nonesuch"' --user=nonesuch
refused 'there is no group "nonesuch"' --group=nonesuch
[ "$(id -u)" -eq 0 ] || skip "only root can become somebody else"

# ids: of all threads: Uid, Gid and Groups, each value once.
ids() {
    cat /proc/"$server_pid"/task/*/status | awk '/^(Uid|Gid|Groups):/ {
        for (i = 2; i <= NF; i++) if (!seen[$1 $i]++) printf "%s%s ", $1, $i }'
}

chmod 600 "$tmp/disk"
chmod 755 "$tmp"
start_server --format=raw --user=nobody --pid-file="$tmp/pid" "$tmp/disk"
[ "$(cat "$tmp/pid")" = "$server_pid" ] || fail "the pid file"
group=$(id -g nobody)
[ "$(id -G nobody)" = "$group" ] || skip "nobody has several groups here"
[ "$(ids)" = "Uid:65534 Gid:$group Groups:$group " ] || fail "ids: $(ids)"
qemu-io -f raw -c 'write -q -P 5 0 64k' -c 'flush' "$uri"
stop_server
[ "$(od -An -tx1 -N1 "$tmp/disk")" = " 05" ] || fail "what was written"

start_server --format=raw --group=12345 "$tmp/disk"
[ "$(ids)" = "Uid:0 Gid:12345 Groups:12345 " ] || fail "ids: $(ids)"
stop_server
