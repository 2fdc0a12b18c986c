# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
#
# What the tests' scripts have in the guest; run_guest puts it before each of them.

set -e -u

host=10.0.2.2       # the host's loopback

# step WHAT: the behaviour that comes next.
step() {
    echo "== $*"
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# host FUNCTION ARG...: calls host_FUNCTION of the test on the host, prints what that prints.
host() {
    local word text

    echo "$*" >&3
    read -r word text <&3
    [ "$word" = ok ] || fail "host $*: $text"
    echo "$text"
}

# until_true COMMAND...: waits for what nothing tells of.
until_true() {
    until "$@"; do
        usleep 20000
    done
}

# must_fail COMMAND...
must_fail() {
    ! "$@" || fail "this should have failed: $*"
}

# attach PORT ARG...: nbd-client connects /dev/nbd0, which is there on return.
attach() {
    local port=$1

    shift
    nbd-client "$host" "$port" /dev/nbd0 "$@"
    until_true test -e /sys/block/nbd0/pid
}

# detach ARG...: /dev/nbd0 is gone on return.
detach() {
    nbd-client "$@" -d /dev/nbd0
    until_true test ! -e /sys/block/nbd0/pid
}

# By its path: busybox prefers a mke2fs of its own.
make_ext4() {
    /sbin/mke2fs -q -t ext4 "$@"
}

# write_files FOLDER: four writers at a time, and the sums of what they wrote in /tmp/sums.
write_files() {
    local i writers=

    for i in 1 2 3 4; do
        dd if=/dev/urandom of="$1/file$i" bs=64k count=16 2>/dev/null &
        writers="$writers $!"
    done
    for i in $writers; do
        wait "$i" || fail "a writer failed"
    done
    sync
    (cd "$1" && sha256sum file?) >/tmp/sums
}

# The files are as written, and read from the device, not from memory.
files_are_right() {
    echo 3 >/proc/sys/vm/drop_caches
    (cd "$1" && sha256sum -c /tmp/sums)
}

# The kernel has seen no I/O error.
no_io_error() {
    if dmesg | grep -iE 'I/O error|EXT4-fs (error|warning)|Remounting filesystem read-only'; then
        fail "the kernel has seen an error"
    fi
}
