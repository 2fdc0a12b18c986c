#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every file of ours: a licence line at its top, no blank at a line's end, no tab in C, at most 100
# columns of code, nothing left for later.
source "$(dirname "$0")/../functions.sh"
cd "$abs_top_srcdir"

wrong=0
# never FILES-PATTERN TEXT-PATTERN WHAT
never() {
    local files=$1 text=$2 what=$3

    mapfile -t files < <(printf '%s\n' "${all[@]}" | grep -E "$files")
    if grep -nHP "$text" "${files[@]}"; then
        echo "    ^ $what"
        wrong=1
    fi
}

mapfile -t all < <(find quickstart .ci configure.ac Makefile.am m4/flags.m4 ./*.md \
    include lib nbd-server plugins tools common examples tests bench fuzz docs -type f \
    ! -name '*.[13]' ! -path '*/__pycache__/*' ! -path '*/.deps/*' ! -path 'fuzz/corpus/*' | sort)

for file in "${all[@]}"; do
    case $file in
        *.json | *.md | *.syms | *.pc.in | *.pod | */testdata/*) continue ;;
    esac
    if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later'; then
        echo "$file: no SPDX-License-Identifier in its first three lines"
        wrong=1
    fi
done
never '' '[ \t]+$' 'blank at the end of a line'
never '\.[ch]$' '\t' 'tab in a C file'
never '\.([ch]|sh)$|quickstart' '^.{101}' 'longer than 100 columns'
never '\.[ch]$' '\b(T''ODO|F''IXME|X''XX)\b' 'left for later'
[ $wrong -eq 0 ]
