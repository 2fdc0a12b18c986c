#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nothing for shellcheck to find in the shell scripts.
source "$(dirname "$0")/../functions.sh"
requires shellcheck
cd "$abs_top_srcdir"

mapfile -t scripts < <(grep -rlE '^#!.*\<(ba)?sh$|shellcheck shell=' \
    quickstart .ci tests bench fuzz docs)
[ ${#scripts[@]} -gt 10 ] || fail "hardly a script found"
# functions.sh is sourced by a path of run time, sets variables for the tests, and sets -e.
shellcheck --severity=info --exclude=SC1090,SC1091,SC2154,SC2164 "${scripts[@]}"
