#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Bash completes options, values and the keys of lists, out of the program's own table.
source "$(dirname "$0")/common.sh"

source "$abs_top_srcdir/completions/nbd-export"
PATH=${NBD_EXPORT%/*}:$PATH
cd "$tmp"
mkdir images
touch images/disk.img config.ini

# completes LINE WORD...: these, in any order, are what the end of the line can become.
completes() {
    local line=$1

    shift
    COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
    _nbd_export
    printf '%s\n' "${COMPREPLY[@]}" | sort >"$tmp/got"
    printf '%s\n' "$@" | sort >"$tmp/want"
    diff -u "$tmp/want" "$tmp/got" || fail "$line"
}

completes "nbd-export --check" "--check-config "
completes "nbd-export --default" "--default-export="
completes "nbd-export --aio=" "auto " "threads " "io_uring " "native "
completes "nbd-export --aio th" "threads "
completes "nbd-export --cache=write" "writeback " "writethrough "
completes "nbd-export --config conf" "config.ini "
completes "nbd-export --config=conf" "config.ini "
completes "nbd-export --export-dir im" "images/"
completes "nbd-export -r images/d" "images/disk.img "
completes "nbd-export --export na" "name="
completes "nbd-export --export=name=a,ima" "a,image=" "a,image-opts="
completes "nbd-export --export name=a,read-only=o" "on" "off"
completes "nbd-export --throttle bps-total=1M,iops-si" "1M,iops-size="

# Every option of the help is one of completion's.
"$NBD_EXPORT" --help | sed -nE 's/^ +(-., )?(--[a-z-]+).*/\2/p' | sort -u >"$tmp/help"
COMP_LINE="nbd-export --" COMP_POINT=13 COMPREPLY=()
_nbd_export
printf '%s\n' "${COMPREPLY[@]%[= ]}" | sort -u >"$tmp/completion"
[ -s "$tmp/help" ]
diff -u "$tmp/help" "$tmp/completion"
