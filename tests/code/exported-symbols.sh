#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The library exports what the public headers declare: all of it, and nothing else.
source "$(dirname "$0")/../functions.sh"
requires nm pkg-config

"$abs_top_srcdir/tests/code/header-symbols" "$abs_top_srcdir/include" >"$tmp/declared" ||
    skip "gcc is not installed"
nm -D --defined-only "$abs_top_builddir/.libs/libblkbackend.so" |
    awk '{ print $NF }' | sed 's/@.*//' | LC_ALL=C sort -u >"$tmp/exported"
[ "$(wc -l <"$tmp/declared")" -gt 50 ] || fail "hardly a declaration found"

export LC_ALL=C
comm -23 "$tmp/declared" "$tmp/exported" | sed 's/^/declared, not exported: /' >"$tmp/wrong"
comm -13 "$tmp/declared" "$tmp/exported" | sed 's/^/exported, not declared: /' >>"$tmp/wrong"
cat "$tmp/wrong"
[ ! -s "$tmp/wrong" ] || fail "\`make update-syms\` writes lib/libblkbackend.syms anew"
