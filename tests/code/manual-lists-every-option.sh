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

# The keys that only a configuration file has are in its page.
"$NBD_EXPORT" --list-settings >"$tmp/settings"
sed -nE 's/^(option|export) ([^ ]+) .*/\2/p' "$tmp/settings" | sort -u >"$tmp/elsewhere"
sed -nE 's/^(generic|section) ([^ ]+) .*/\2/p' "$tmp/settings" | sort -u |
    comm -23 - "$tmp/elsewhere" >"$tmp/in-files"
[ -s "$tmp/in-files" ]
while read -r key; do
    grep -qw -- "$key" "$abs_top_srcdir/docs/nbd-export.conf.pod" ||
        { echo "docs/nbd-export.conf.pod lacks $key"; exit 1; }
done <"$tmp/in-files"

# The fuzzer knows all keys.
sed -E 's/^[^ ]+ ([^ ]+) .*/"\1"/' "$tmp/settings" | sort -u |
    comm -23 - <(grep '^"' "$abs_top_srcdir/fuzz/config.dict" | sort -u) >"$tmp/not-in-dict"
[ ! -s "$tmp/not-in-dict" ] || { echo "fuzz/config.dict lacks:"; cat "$tmp/not-in-dict"; exit 1; }
