#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --dump-plugin tells the version, the drivers and the event engines.
source "$(dirname "$0")/common.sh"

plain_nbdkit "$PLUGIN" --dump-plugin >"$tmp/dump"
cat "$tmp/dump"
version=$("$NBD_EXPORT" --version | awk 'NR == 1 { print $2 }')
grep -qx "version=$version" "$tmp/dump" || fail "not version $version"
grep -qx 'name=blkbackend' "$tmp/dump"
grep -qx 'magic_config_key=file' "$tmp/dump"
grep -qx 'thread_model=parallel' "$tmp/dump"
grep -qxE 'blkbackend_drivers=([a-z0-9_-]+ )*qcow2( [a-z0-9_-]+)*' "$tmp/dump"
grep -qxE 'blkbackend_drivers=([a-z0-9_-]+ )*raw( [a-z0-9_-]+)*' "$tmp/dump"
grep -qxE 'blkbackend_engines=(io_uring )?threads' "$tmp/dump"
for engine in io_uring threads; do
    grep -q "^blkbackend_engines=.*$engine" "$tmp/dump" || continue
    "$abs_top_builddir/tests/has-engine" "$engine"
done
