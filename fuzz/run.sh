#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh SOURCE TARGET...: builds the fuzz targets with clang, AddressSanitizer and
# UndefinedBehaviorSanitizer in ./fuzz-build, and runs each for FUZZ_SECONDS (60).
# `make fuzz` calls it.  Fails if a target found something: the input is in fuzz-build/found.

set -e -u -o pipefail

source=$1
shift

if ! command -v clang >/dev/null; then
    echo "fuzzing takes clang and its libFuzzer; on Debian: apt-get install clang" >&2
    exit 1
fi
mkdir -p fuzz-build/found
cd fuzz-build
if [ ! -f Makefile ]; then
    "$source/configure" -q CC="${FUZZ_CC:-clang}" CFLAGS="-O1 -g" \
        --enable-asan --enable-ubsan --enable-fuzzers
fi
make -s -j"$(nproc)" "$@"

# A smaller quarantine: the memory limit is for the library.
export ASAN_OPTIONS="quarantine_size_mb=64:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"

# fuzz TARGET: one of them; what it printed follows when it has ended.
fuzz() {
    local name=${1##*/fuzz-} status=0

    mkdir -p "corpus/$name"
    "./$1" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=30 -rss_limit_mb=512 \
        -max_len=300000 -dict="$source/fuzz/$name.dict" -artifact_prefix="$PWD/found/$name-" \
        -print_final_stats=1 "corpus/$name" "$source/fuzz/corpus/$name" \
        >"$name.log" 2>&1 || status=$?
    echo "--- $1"
    cat "$name.log"
    return $status
}
export source
export -f fuzz

# One on each processor.
printf '%s\n' "$@" | xargs -P "$(nproc)" -I TARGET bash -c 'fuzz TARGET'
