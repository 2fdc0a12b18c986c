# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# nbdkit with our plugin, for the tests of this folder.

source "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"
PATH=$PATH:/usr/sbin:/sbin

PLUGIN=$abs_top_builddir/.libs/nbdkit-blkbackend-plugin.so

requires nbdkit nbdinfo
# shellcheck disable=SC2034 # for the tests
plugin=("$PLUGIN" "aio=$ENGINE")
[ -e "$PLUGIN" ] || skip "the plugin was not built: configure found no nbdkit"

# nbdkit is not instrumented: the sanitizer's library has to be there before it.  With that one the
# C library miscounts who holds its lock of locales, also for nbdkit alone; after a strerror() by
# anyone a library of nbdkit's that frees a locale at the very end waits for ever, so it shall not.
preload=()
find_preload() {
    local library

    [ -n "${SANITIZERS:-}" ] || return 0
    library=$(ldd "$PLUGIN" | awk '/lib(a|t)san\.so/ { print $3 }')
    [ -e "$library" ] ||
        skip "the compiler's sanitizer is no library, which nbdkit would need: use gcc"
    # shellcheck disable=SC2086 # $CC may have arguments
    echo 'void freelocale(void *locale) { (void)locale; }' |
        ${CC:-cc} -shared -fPIC -o "$tmp/keep-locales.so" -x c -
    # What nbdkit itself and what it loads leave behind is not ours to look for.
    export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"
    preload=(env "LD_PRELOAD=$library $tmp/keep-locales.so")
}
find_preload

# nbdkit, with the sanitizer if there is one: what is not a server that stays.
plain_nbdkit() {
    "${preload[@]}" nbdkit "$@"
}

# run_nbdkit ARG...: nbdkit in the foreground, on $sock, with its messages in $server_log.  Returns
# when it listens; sets server_pid and uri.  Options of nbdkit's come first, filters too, then
# "${plugin[@]}", then keys.
run_nbdkit() {
    local n=$server_count ready

    server_count=$((n + 1))
    sock=$tmp/sock$n
    uri="nbd+unix:///?socket=$sock"
    server_log=$tmp/server$n.log
    mkfifo "$tmp/ready$n"
    # Its pid is written when it can be connected to; the end of file instead is its end.
    "${preload[@]}" nbdkit -f -U "$sock" -P /dev/fd/3 "$@" \
        >"$server_log" 2>&1 3>"$tmp/ready$n" </dev/null &
    server_pid=$!
    server_pids+=("$server_pid")
    read -r ready <"$tmp/ready$n" || true
    [ -n "$ready" ] || fail "nbdkit did not start: $*"
}

# refused TEXT ARG...: nbdkit ends with an error that has TEXT.
refused() {
    local text=$1

    shift
    if plain_nbdkit -f -U "$tmp/refused" --run true "$@" >"$tmp/refused.log" 2>&1; then
        fail "accepted: $*"
    fi
    grep -qF -- "$text" "$tmp/refused.log" ||
        { cat "$tmp/refused.log"; fail "$*: no '$text'"; }
}

# make_image FORMAT [SIZE [NAME]]: $image, of that format, empty.
make_image() {
    image=$tmp/${3:-disk.$1}
    rm -f "$image"
    if [ "$1" = raw ]; then
        truncate -s "${2:-64M}" "$image"
    else
        qemu-img create -q -f "$1" "$image" "${2:-64M}"
    fi
}

# python_nbd <<END: Python on a connected handle h of libnbd's; connect() gives another one.
python_nbd() {
    { cat <<'END'; cat; } | URI=$uri "${PYTHON3:-/usr/bin/python3}" -
import errno, os, sys, time, nbd
uri = os.environ['URI']
def connect():
    h = nbd.NBD()
    h.add_meta_context('base:allocation')
    h.connect_uri(uri)
    return h
def error_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except nbd.Error as e:
        return e.errno
    return 'success'
def extents(h, count, offset, **kwargs):
    got = []
    h.block_status(count, offset, lambda ctx, at, entries, err: got.extend(entries), **kwargs)
    return list(zip(got[::2], got[1::2]))
h = connect()
END
}

# guest COMMAND...: qemu-io's commands on $uri, all of which succeed.
guest() {
    local each args=()

    for each; do
        args+=(-c "$each")
    done
    qemu-io -f raw "${args[@]}" "$uri" >"$tmp/guest.log" 2>&1 ||
        { cat "$tmp/guest.log"; return 1; }
    if grep -qE 'failed|mismatch|error' "$tmp/guest.log"; then
        cat "$tmp/guest.log"
        return 1
    fi
}

# on_disk FORMAT COMMAND...: the same on $image itself, once no server has it.
on_disk() {
    local format=$1 each args=()

    shift
    for each; do
        args+=(-c "$each")
    done
    if ! qemu-io -f "$format" "${args[@]}" "$image" >"$tmp/disk.log" 2>&1 ||
        grep -qE 'failed|mismatch' "$tmp/disk.log"; then
        cat "$tmp/disk.log"
        fail "$image: $*"
    fi
}

# for_each_format FUNCTION: on a raw and a qcow2 image.
for_each_format() {
    local format

    for format in raw qcow2; do
        echo "--- $format"
        make_image "$format"
        "$1" "$format"
    done
}
