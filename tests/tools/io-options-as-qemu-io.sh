#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# blk-io: options of the command line, right and wrong, do and say what qemu-io's do.
source "$(dirname "$0")/common.sh"
requires qemu-io qemu-img

images() {
    truncate -s 1M raw
    qemu-img create -q -f qcow2 qcow2 1M
}

io_both -f raw raw -c 'write -q 0 512' -c 'read -q 0 1'
io_both --format=raw --cmd='length' raw
io_both -f qcow2 raw
io_both -f foo raw
io_both -f raw nonexistent -c length
io_both nonexistent
io_both raw -c length
io_both -r raw -c length
io_both qcow2 -c length -c quit -c length
io_both -f raw --image-opts raw
for mode in none off writeback writethrough directsync unsafe foo; do
    io_both -t $mode -f raw raw -c 'write 0 4k' -c 'read 0 512'
    io_both --cache=$mode -r -f raw raw -c length
done
for mode in ignore off unmap on foo; do
    io_both -d $mode -f raw raw -c 'discard 0 4k'
done
io_both -i foo -f raw raw
io_both -i native -f raw raw
io_both -k -f raw raw
io_both -n -k -f raw raw -c 'read 0 4k'
io_both -C -f raw raw -c 'read 0 1'
io_both -C -r -f raw raw
io_both -U -f raw raw
io_both -U -r -f raw raw -c length -c 'write 0 1'
io_both --force-share --read-only --image-opts driver=raw,file.filename=raw -c length
io_both -U --image-opts driver=raw,file.filename=raw,force-share=off
io_both --image-opts driver=raw,file.filename=raw -c length
io_both --image-opts driver=raw,file.filename=raw, -c length
io_both --image-opts driver=raw,,file.filename=raw
io_both --image-opts driver=raw,file.filename=raw,foo=1
io_both --image-opts driver=raw,file.filename=raw,foo
io_both --image-opts driver=raw,file.filename=raw,nofoo
io_both --image-opts driver=null-co,size=1M,id=x
io_both --image-opts driver=null-co,size=1M,read-only=on
io_both --image-opts driver=null-co,size=1M,id=1x
io_both --image-opts help
io_both --image-opts raw
io_both 'json:{"driver":"raw","file":{"driver":"file","filename":"raw"}}' -c length

# The usage is each one's own; where it comes, the status and the line before it are not.
usage_both() {
    run_in "$tmp/theirs" qemu-io "$@"
    run_in "$tmp/ours" env PATH="$tmp/bin:$PATH" qemu-io "$@"
    for who in theirs ours; do
        grep -E '^(qemu-io:|Usage:|status)' "$tmp/$who.out" >"$tmp/$who.usage"
    done
    diff -u "$tmp/theirs.usage" "$tmp/ours.usage" || fail "differs: qemu-io $*"
}
usage_both -Z
usage_both --bogus
usage_both -c
usage_both --cache
usage_both raw raw
usage_both --help
usage_both -h raw -Z

# Refused, for what it would do is not there.
for option in --trace=foo '-T foo' --object=secret,id=a,data=b; do
    # shellcheck disable=SC2086 # two words
    if "$abs_top_builddir/blk-io" $option -c help >"$tmp/out" 2>&1; then
        fail "$option is accepted"
    fi
    grep -qx 'blk-io: --[a-z]* is not supported: .*' "$tmp/out"
done
echo "$compared command lines"
