#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# codespell finds nothing.
source "$(dirname "$0")/../functions.sh"
requires codespell
cd "$abs_top_srcdir"

# descripton and formt: what a test misspells on purpose.  conectix: a magic number.
codespell --ignore-words-list="descripton,formt,inflight,inout,parms,conectix" \
    --skip='*.1,*.3,__pycache__' \
    ./*.md quickstart include lib nbd-server plugins tools common examples tests bench fuzz/*.* docs
