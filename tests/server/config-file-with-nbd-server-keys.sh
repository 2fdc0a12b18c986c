#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file as nbd-server's users write it says the same to us; the command line overrides it.
source "$(dirname "$0")/common.sh"
requires nbdinfo
truncate -s 1M "$tmp/a" "$tmp/b" "$tmp/ours"
mkdir "$tmp/more"
printf '# those who may\n127.0.0.0/8   # here\n::1\n\n' >"$tmp/allowed"
long=$(printf 'x%.0s' {1..4000})

{
    printf '\xef\xbb\xbf# A comment; the mark before it is an editor'"'"'s.\n'
    cat <<END
; another comment
[generic]
    user = $(id -un)
    listenaddr = 127.0.0.1, ::1
    port = 0
    unixsock = $tmp/nbd.sock
    allowlist = true
    includedir = $tmp/more
    max_threads = 2
    drain-timeout=7

[  büro  ]
	exportname	=	$tmp/a
    format=raw
    readonly = true
    rotational = true
    flush = true
    fua = false
    trim = true
    maxconnections = 3
    description = a=b # no comment; $long
    splice = true
    cowdir = /nowhere
[ours]
image = $tmp/ours
format = raw
throttle.iops-total = 1000
allow = any
END
} | sed 's/$/\r/' >"$tmp/config"
cat >"$tmp/more/b.conf" <<END
[b]
exportname = $tmp/b
filesize = 4096
flush = false
authfile = $tmp/allowed
format = raw
END
echo "this is no setting" >"$tmp/more/ignored.txt"

"$NBD_EXPORT" --check-config --config "$tmp/config" >"$tmp/out"
grep -q "exports: 3" "$tmp/out"

start_server --config="$tmp/config"
[ ! -e "$tmp/nbd.sock" ] || fail "the command line did not override unixsock"
say() {
    nbdinfo "nbd+unix:///$1?socket=$sock" | tr -d '\t' >"$tmp/info"
    cat "$tmp/info"
}
say b%C3%BCro
for line in "export-size: 1048576 (1M)" "is_read_only: true" "can_flush: true" "can_fua: false" \
    "is_rotational: true"; do
    grep -qx "$line" "$tmp/info" || fail "no \"$line\""
done
grep -qx "description: a=b # no comment; $long" "$tmp/info"
say ours
grep -qx "is_read_only: false" "$tmp/info"
grep -qx "can_trim: true" "$tmp/info"
# Not on the list of b: this client comes by a unix socket.
nbdinfo --list --json "nbd+unix:///?socket=$sock" >"$tmp/list"
grep -q ours "$tmp/list"
if grep -q '"b"' "$tmp/list"; then
    fail "b is shown to a client that authfile does not name"
fi
stop_server
