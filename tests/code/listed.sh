#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No source and no test is left out of the build, and none is named twice.
source "$(dirname "$0")/../functions.sh"
cd "$abs_top_srcdir"

wrong=0
# in_list LISTS FILE...: each FILE stands once in LISTS.
in_list() {
    local list=$1 file times
    shift

    for file; do
        times=$(grep -cE "^[[:space:]]*(.* \+= )?${file//./\\.}( \\\\)?$" "$list" || true)
        if [ "$times" -ne 1 ]; then
            echo "$file: $times times in $list"
            wrong=1
        fi
    done
}

shopt -s globstar
in_list lib/local.mk include/blkbackend/*.h lib/**/*.[ch]
in_list nbd-server/local.mk nbd-server/*.[ch] common/*.[ch]
in_list tools/local.mk tools/*.[ch]
in_list tests/local.mk tests/{code,guest,lib,server,tools}/*.sh
for test in tests/protocol/*.py; do
    [ "$test" = tests/protocol/rawnbd.py ] || in_list tests/local.mk "$test"
done
for test in tests/unit/test-*.c tests/lib/*.c; do
    in_list tests/local.mk "${test%.c}"
done
[ $wrong -eq 0 ]
