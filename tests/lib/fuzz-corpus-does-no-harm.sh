#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the fuzz targets are given in the corpus, and all that they ever found, does no harm.
source "$(dirname "$0")/../functions.sh"
export ENGINE

for target in "$abs_top_builddir"/fuzz/fuzz-*[!.]?; do
    [ -x "$target" ] || continue
    name=${target##*/fuzz-}
    inputs=("$abs_top_srcdir/fuzz/corpus/$name"/*)
    [ ${#inputs[@]} -gt 10 ] || fail "hardly an input for $name"
    (ulimit -t 60; exec "$target" "${inputs[@]}")
done
