#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --help and --version print to stdout and end with 0; every long option is in the help.
source "$(dirname "$0")/common.sh"
"$NBD_EXPORT" --version | grep '[0-9]\.[0-9]' >/dev/null || fail "--version"
"$NBD_EXPORT" --help >"$tmp/out" 2>"$tmp/err"
[ ! -s "$tmp/err" ] || fail "--help prints on stderr"
for option in socket bind port format export export-name description read-only shared cache aio \
    discard image-opts pid-file fork threads drain-timeout; do
    grep -q -- "--$option" "$tmp/out" || fail "--$option is not in the help"
done
