# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests that hold blk-img against qemu-img: the test's function runs once with each of them as
# `qemu-img`, in a folder of its own; what it prints must be equal, and its images can be compared.

source "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"
requires qemu-img qemu-io
PYTHON3=${PYTHON3:-python3}

real=$(command -v qemu-img)
mkdir "$tmp/bin"
ln -s "$abs_top_builddir/blk-img" "$tmp/bin/qemu-img"

# Progress comes when it will, and times are what they are.
mask() {
    sed -E -e 's/^( *\([0-9.]+\/100%\)\r?)+/PROGRESS/' -e 's/(Run completed in ).*/\1TIME/'
}

# t ARG...: qemu-img with these; what it prints and its status.
t() {
    local status=0

    echo "+ qemu-img $*"
    qemu-img "$@" </dev/null 2>&1 || status=$?
    echo "status $status"
}

# The real ones, whichever is tested.
make_image() {
    "$real" create -q "$@"
}
io() {
    qemu-io "$@" >/dev/null
}
# extents -f FORMAT IMAGE: what is data and what is zero; "depth": in which file of the chain.
extents() {
    "$real" map --output=json "$@" | sed -E 's/, "offset": [0-9]+//'
}
# allocated FORMAT IMAGE: what does not come from its backing file.
allocated() {
    qemu-io -r -f "$1" -c map "$2"
}
sound() {
    "$real" check -q "$@" && echo "sound: $*"
}

# side_by_side FUNCTION
side_by_side() {
    local who path status

    for who in theirs ours; do
        rm -rf "${tmp:?}/$who"
        mkdir "$tmp/$who"
        path=$PATH
        [ $who = theirs ] || path=$tmp/bin:$PATH
        status=0
        (cd "$tmp/$who" && PATH=$path && "$1") >"$tmp/$who.raw" 2>&1 || status=$?
        echo "end $status" >>"$tmp/$who.raw"
        mask <"$tmp/$who.raw" >"$tmp/$who.out"
    done
    diff -u --label qemu-img "$tmp/theirs.out" --label blk-img "$tmp/ours.out" ||
        fail "$1: they differ"
    grep -q '^end 0$' "$tmp/ours.out" || { cat "$tmp/ours.out"; fail "$1: broke off"; }
}

# equal [-f FORMAT -F FORMAT] IMAGE...: both have left the same content.
equal() {
    local image options=()

    while [ "${1#-}" != "$1" ]; do
        options+=("$1" "$2")
        shift 2
    done
    for image; do
        "$real" compare "${options[@]}" "$tmp/theirs/$image" "$tmp/ours/$image" >"$tmp/compared" ||
            { cat "$tmp/compared"; fail "$image differs"; }
    done
}
