#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual and --help, which prints the table of settings, name the same options and keys.
source "$(dirname "$0")/../functions.sh"

"$NBD_EXPORT" --help >"$tmp/help"
manual=$abs_top_srcdir/docs/nbd-export.pod

# As "--long" and "-s" each; keys of --export as "key=".
sed -nE 's/^ +(-(.), )?--([a-z-]+).*/--\3 \2/p; s/^  ([a-z-]+)=.*/\1=/p' "$tmp/help" |
    sed -E 's/^(--[a-z-]+) (.)$/\1\n-\2/; s/ $//' | sort >"$tmp/in-help"
sed -nE '/^=item B<-/s/B<(-[^>]+)>/\n\1\n/gp; s/^=item B<([a-z-]+)>(=|\[=).*/\1=/p' "$manual" |
    grep -E '^(-|[a-z-]+=$)' | sort >"$tmp/in-manual"

[ -s "$tmp/in-help" ]
diff -u --label "nbd-export --help" --label "docs/nbd-export.pod" "$tmp/in-help" "$tmp/in-manual"

# What has a default of its own says so.
grep -oE '\(default: [^)]+\)' "$tmp/help" | sed -E 's/.*: (.*)\)/\1/' | sort -u |
    while read -r value; do
        grep -qE "\b$value\b" "$manual" || { echo "the manual lacks the default $value"; exit 1; }
    done
