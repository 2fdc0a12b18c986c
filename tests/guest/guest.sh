# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# For the tests in this folder: source it first.  A real kernel, in QEMU without KVM, attaches
# what nbd-export serves on the host.
#
#     source "$(dirname "$0")/guest.sh"
#     serve --format=raw "$tmp/disk"              sets port
#     host_allocated() { stat -c %b "$tmp/disk"; }
#     run_guest -e port="$port" <<'END'
#     attach "$port"                              see in-guest.sh
#     blocks=$(host allocated)                    calls host_allocated, here
#     END

source "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"

here=$abs_top_srcdir/tests/guest
guest_home=$abs_top_builddir/tests/guest/made
requires qemu-system-x86_64 nbd-client mke2fs
"$here/make-guest.sh" "$guest_home" 2>"$tmp/why" || skip "$(tail -n 1 "$tmp/why")"

# What the test puts in here is in the guest's root.
guest_files=$tmp/guest
mkdir "$guest_files"

# A guest that neither asks, ends nor panics for so long hangs.
silence_limit=120

# serve ARG...: start_server, on a free port of this machine too.
serve() {
    start_server --bind=127.0.0.1 --port=0 --verbose "$@"
    port=$(sed -n 's/.*listening on 127\.0\.0\.1://p' "$server_log")
}

# serve_nbdkit ARG...: nbdkit, in the same way.
serve_nbdkit() {
    local n=$server_count

    server_count=$((n + 1))
    mkfifo "$tmp/port$n"
    "${PYTHON3:-python3}" "$here/serve-nbdkit.py" 4>"$tmp/port$n" "$@" \
        >"$tmp/server$n.log" 2>&1 </dev/null &
    server_pids+=("$!")
    # shellcheck disable=SC2034 # for the test
    read -r port <"$tmp/port$n" || fail "nbdkit did not start"
}

# The guest's initrd: the one for all, and the test's script and files behind it.
make_initrd() {
    local setting

    {
        for setting in "${guest_settings[@]}"; do
            echo "$setting"
        done
        cat "$here/in-guest.sh" -
    } >"$guest_files/test"
    {
        cat "$guest_home/initrd"
        (cd "$guest_files" && find . | cpio --quiet -o -H newc -R 0:0)
    } >"$tmp/initrd"
}

end_guest() {
    if [ "$guest_pid" ]; then
        kill -KILL "$guest_pid" 2>/dev/null || true
        wait "$guest_pid" 2>/dev/null || true
        guest_pid=
    fi
}

start_qemu() {
    # Its second serial port is our descriptors ${guest[0]} and ${guest[1]}.
    coproc guest {
        exec qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 256 -no-user-config -nodefaults \
            -no-reboot -display none -kernel "$guest_home/kernel" -initrd "$tmp/initrd" \
            -append "console=ttyS0 quiet panic=-1 mitigations=off $kernel_args" \
            -serial file:"$tmp/console" -chardev stdio,id=host,signal=off -serial chardev:host \
            -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= "$@" 2>"$tmp/qemu.log"
    }
    guest_pid=$!
    cleanup_fn end_guest
}

# What the guest asks for, until it ends.  Sets guest_status.
answer_guest() {
    local function words text

    guest_status=none
    while [ "$guest_status" = none ] && read -r -t "$silence_limit" -u "${guest[0]}" function words
    do
        if [ "$function" = end ]; then
            guest_status=$words
        else
            # shellcheck disable=SC2086 # words
            "host_$function" $words >"$tmp/answer" || fail "host_$function $words"
            text=$(cat "$tmp/answer")
            echo "ok $text" >&"${guest[1]}"
        fi
    done
}

# run_guest [-e NAME=VALUE]... [-k KERNEL-ARGS] [QEMU-ARG...]: boots a guest that runs the script on
# standard input with these variables set, and fails where that fails.
run_guest() {
    guest_settings=()
    kernel_args=
    while [ "${1:-}" = -e ]; do
        guest_settings+=("$2")
        shift 2
    done
    if [ "${1:-}" = -k ]; then
        kernel_args=$2
        shift 2
    fi
    make_initrd
    start_qemu "$@"
    answer_guest
    end_guest
    tr -d '\r' <"$tmp/console"
    cat "$tmp/qemu.log"
    [ "$guest_status" = 0 ] || fail "the guest's script: $guest_status"
}
