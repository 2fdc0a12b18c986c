#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: commands from stdin, at a prompt that bears the program's name.
source "$(dirname "$0")/common.sh"
requires qemu-io

images() {
    truncate -s 1M raw
}

# given TEXT: what both make of it, from a file and, ours, from a pipe.
given() {
    # shellcheck disable=SC2059 # the text has escapes
    printf "$1" >"$tmp/input"
    # shellcheck disable=SC2034 # for io_both
    input=$tmp/input
    io_both -f raw raw
    # shellcheck disable=SC2002 # a pipe is what is to be tested
    cat "$tmp/input" | "$tmp/bin/qemu-io" -f raw "$tmp/ours/raw" 2>&1 | mask >"$tmp/piped" || true
    [ "$(sed 's/status .*//' "$tmp/ours.out")" = "$(cat "$tmp/piped")" ]
}
given ''
given 'length'
given 'length\n'
given 'length\nfoo\n\n   \n  read   0    512  \nread -P 5 0 1\nquit\nlength\n'
given 'write -q -P 5 0 1\nread -P 5 0 1\nread -P 6 0 1\nlength'
given 'q\n'

# Under another name, and with a line that fits no buffer.
ln -s "$abs_top_builddir/blk-io" "$tmp/bin/exerciser"
[ "$(echo foo | "$tmp/bin/exerciser" 2>/dev/null)" = 'exerciser> exerciser> ' ]
[ "$("$tmp/bin/exerciser" none 2>&1)" = \
    "exerciser: can't open device none: Could not open 'none': No such file or directory" ]
[ "$( (printf '%70000s' ''; echo 'help quit') | "$tmp/bin/exerciser")" = \
    "exerciser> quit -- exit the program
exerciser> " ]

end_coproc() {
    kill "$pid" 2>/dev/null || true
}

# Requests end while the prompt waits for the next line.
coproc "$tmp/bin/exerciser" -i "$ENGINE" -f raw "$tmp/ours/raw" 2>&1
cleanup_fn end_coproc
pid=$COPROC_PID
echo 'aio_write -P 7 0 64k' >&"${COPROC[1]}"
read -r line <&"${COPROC[0]}"
[ "$line" = 'exerciser> exerciser> wrote 65536/65536 bytes at offset 0' ] || fail "$line"
echo quit >&"${COPROC[1]}"
wait "$pid"
echo "$compared command lines"
