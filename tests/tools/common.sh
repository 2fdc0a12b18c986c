# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests that hold our tools against QEMU's: the same command line runs with both programs under
# the same name, each in a folder of its own that `images` (the test's) fills; what they print, on
# both streams as one, and their status must be equal.

source "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"

mkdir "$tmp/bin" "$tmp/theirs" "$tmp/ours"
ln -s "$abs_top_builddir/blk-io" "$tmp/bin/qemu-io"
input=/dev/null
order="cat"        # or sort, where requests end in any order
compared=0

# What no two runs have in common: times, and what is computed from them.
mask() {
    sed -E 's/( ops; ).*/\1TIME/; s/^([0-9]+,1,).*/\1TIME/'
}

# run_in FOLDER COMMAND ARG...: its output and status in FOLDER.out.
run_in() {
    local folder=$1 status=0
    shift

    rm -rf "$folder"
    mkdir "$folder"
    (cd "$folder" && images)
    (cd "$folder" && exec timeout -k 5 60 "$@") >"$folder.raw" 2>&1 <"$input" || status=$?
    echo "status $status" >>"$folder.raw"
    mask <"$folder.raw" | $order >"$folder.out"
}

# io_both ARG...: qemu-io and blk-io, which is called by that name.
io_both() {
    run_in "$tmp/theirs" qemu-io "$@"
    run_in "$tmp/ours" env PATH="$tmp/bin:$PATH" qemu-io -i "$ENGINE" "$@"
    if ! diff -u --label qemu-io --label blk-io "$tmp/theirs.out" "$tmp/ours.out"; then
        fail "differs: qemu-io $*"
    fi
    compared=$((compared + 1))
}

# io_both_each COMMAND...: io_both for each, with what is in the array `options` before it.
io_both_each() {
    local command

    for command; do
        io_both "${options[@]}" -c "$command"
    done
}

# same_content FORMAT IMAGE...: what both left behind is equal, and ours is sound.
same_content() {
    local format=$1 image
    shift

    for image; do
        qemu-img compare -f "$format" -F "$format" "$tmp/theirs/$image" "$tmp/ours/$image"
        if [ "$format" = qcow2 ]; then
            qemu-img check -q "$tmp/ours/$image"
        fi
    done
}
