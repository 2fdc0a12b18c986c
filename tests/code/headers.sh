#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each public header compiles alone, as C and as C++, without a warning.
source "$(dirname "$0")/../functions.sh"
requires pkg-config

warnings=(-fsyntax-only -Wall -Wextra -Werror -Wshadow)
read -r -a flags <<<"-I$abs_top_srcdir/include $(pkg-config --cflags jansson)"
for header in "$abs_top_srcdir"/include/blkbackend/*.h; do
    echo "#include <blkbackend/${header##*/}>" >"$tmp/alone.c"
    cp "$tmp/alone.c" "$tmp/alone.cc"
    # shellcheck disable=SC2086 # $CC may have arguments
    ${CC:-cc} -std=gnu11 "${warnings[@]}" -Wstrict-prototypes "${flags[@]}" "$tmp/alone.c"
    for cxx in g++ clang++; do
        if command -v $cxx >/dev/null; then
            $cxx -std=gnu++17 "${warnings[@]}" "${flags[@]}" "$tmp/alone.cc"
        fi
    done
done
command -v g++ >/dev/null || command -v clang++ >/dev/null || skip "g++ is not installed: C only"
