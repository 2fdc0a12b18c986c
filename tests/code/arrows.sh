#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrows point one way: no layer includes a header of one above it.
source "$(dirname "$0")/../functions.sh"
cd "$abs_top_srcdir"

# allowed FOLDER PATTERN: every quoted include in FOLDER matches PATTERN, or has no folder in its
# name and lies beside the file or in common/.
allowed() {
    local folder=$1 pattern=$2 file line header

    while IFS=: read -r file line header; do
        [[ $header =~ ^($pattern)$ ]] && continue
        [[ $header != */* && -e ${file%/*}/$header ]] && continue
        [[ $header != */* && -e common/$header && common/$header =~ ^($pattern)$ ]] && continue
        echo "$file:$line: includes \"$header\", not for $folder"
        wrong=1
    done < <(grep -rnE '^ *# *include "' "$folder" --include='*.[ch]' |
        sed -E 's/^([^:]*:[0-9]*:) *# *include "([^"]*)".*/\1\2/')
}

wrong=0
allowed lib/util 'util/.*'
allowed lib/aio 'aio/.*|util/.*'
allowed lib/drivers 'drivers/.*|aio/.*|util/.*|common/byte-order\.h'
allowed lib/graph 'graph/.*|aio/.*|util/.*'
allowed lib/backend 'backend/.*|graph/.*|aio/.*|util/.*'
allowed common 'common/.*'
allowed nbd-server 'nbd-server/.*|common/.*'
allowed tools 'tools/.*|common/.*'
allowed plugins 'plugins/.*|common/.*'

# Public headers stand alone: they include each other and no one else's.
if grep -rnE '^ *# *include "' include; then
    echo 'a public header includes a private one'
    wrong=1
fi
[ $wrong -eq 0 ]
