#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An ext4 image of 1 GiB copied in with nbdcopy and back out is identical, and stays sparse.
source "$(dirname "$0")/common.sh"
requires nbdcopy mkfs.ext4 cmp

truncate -s 1G "$tmp/source" "$tmp/disk"
mkfs.ext4 -q -F -E lazy_itable_init=0 -d "$abs_top_srcdir/tests" "$tmp/source"
start_server --format=raw --discard=unmap "$tmp/disk"
nbdcopy "$tmp/source" "$uri"
nbdcopy "$uri" "$tmp/back"
cmp "$tmp/source" "$tmp/back"
stop_server
cmp "$tmp/source" "$tmp/disk"
blocks=$(stat -c %b "$tmp/back")
[ "$blocks" -lt 1000000 ] || fail "the copy has $blocks blocks: no hole came over"
