#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# `make install` puts the plugin where nbdkit looks, and there nbdkit finds it by its name.
source "$(dirname "$0")/common.sh"
requires make pkg-config

unset MAKEFLAGS MFLAGS MAKELEVEL
dest=$tmp/dest
# One at a time: libtool links again to install, in the build folder.
flock "$abs_top_builddir/config.status" \
    make -s -C "$abs_top_builddir" install DESTDIR="$dest" >"$tmp/install.log" 2>&1 ||
    { cat "$tmp/install.log"; fail "make install"; }
plugindir=$(sed -n 's/^plugindir = //p' "$abs_top_builddir/Makefile")
installed=$dest$plugindir/nbdkit-blkbackend-plugin.so
[ -e "$installed" ] || fail "no plugin in $plugindir"
[ "$plugindir" = "$(pkg-config --variable=plugindir nbdkit)" ] ||
    skip "configured for the folder $plugindir"

# In a file system of its own, nbdkit's folder is the installed one beside what was there.
library=$(dirname "$(find "$dest" -name libblkbackend.so.0)")
unshare --mount true 2>/dev/null || skip "no mount namespace of our own: found it in place only"
# shellcheck disable=SC2016 # the inner shell
LIBRARY=$library INSTALLED=$installed PLUGINDIR=$plugindir unshare --mount bash -e -c '
    mkdir "$0/upper"
    cp "$PLUGINDIR"/*.so "$0/upper"
    cp "$INSTALLED" "$0/upper"
    mount --bind "$0/upper" "$PLUGINDIR"
    LD_LIBRARY_PATH=$LIBRARY "$@" nbdkit blkbackend --dump-plugin
' "$tmp" "${preload[@]:-env}" >"$tmp/dump"
grep -qx "path=$plugindir/nbdkit-blkbackend-plugin.so" "$tmp/dump" ||
    { cat "$tmp/dump"; fail "nbdkit blkbackend"; }
