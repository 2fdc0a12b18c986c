# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests of the format qcow2 against QEMU's own tools.

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
requires qemu-img qemu-io

# What an image can be made like: options of `qemu-img create -o`, one kind a line.
qcow2_kinds() {
    cat <<KINDS
compat=0.10
compat=1.1
cluster_size=512
cluster_size=4k,refcount_bits=1
cluster_size=4k,refcount_bits=64
cluster_size=16k,extended_l2=on
cluster_size=2M
cluster_size=2M,extended_l2=on
refcount_bits=2
refcount_bits=4
refcount_bits=8
refcount_bits=32
lazy_refcounts=on
extended_l2=on
compression_type=zstd
preallocation=metadata
preallocation=falloc
extended_l2=on,preallocation=metadata
data_file=$tmp/data,data_file_raw=off
data_file=$tmp/data,data_file_raw=on
KINDS
}

# qcow2_is_clean IMAGE: qemu-img finds no error and no leak.
qcow2_is_clean() {
    qemu-img check -q "$1" || { qemu-img check "$1"; fail "check of ${1##*/}"; }
}
