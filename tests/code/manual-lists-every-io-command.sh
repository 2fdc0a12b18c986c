#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual of blk-io has every option that --help has, and every command with all its options that
# the table of commands has.
source "$(dirname "$0")/../functions.sh"
blk_io=$abs_top_builddir/blk-io
manual=$abs_top_srcdir/docs/blk-io.pod

"$blk_io" --help | grep -oE '^  -.*' | sed -E 's/ {2,}[^-].*//' | grep -oE -- '--?[A-Za-z-]+' |
    sort >"$tmp/in-help"
sed -n '/^=head1 OPTIONS/,/^=head1 COMMANDS/{/^=item/s/B<\(-[^>]*\)>/\n\1\n/gp}' "$manual" |
    grep '^-' | sort >"$tmp/in-manual"
[ -s "$tmp/in-help" ]
diff -u --label --help --label docs/blk-io.pod "$tmp/in-help" "$tmp/in-manual"

# Commands: "name letters", from the long help or, where there is none, from the usage.
"$blk_io" -c help | sed -n 's/ .*-- .*//p' | while read -r name; do
    "$blk_io" -c "help $name" >"$tmp/text"
    letters=$(sed -nE 's/^ -(.), -- .*/\1/p' "$tmp/text")
    [ -n "$letters" ] || letters=$(head -n 1 "$tmp/text" | grep -oE '\[-[A-Za-z]+' |
        grep -o '[A-Za-z]' || true)
    echo "$name" "$(printf '%s\n' "$letters" | sort -u | tr -d '\n')"
done >"$tmp/commands"
sed -n '/^=head1 COMMANDS/,/^=head1 EXIT/s/^=item B<\([a-z_]*[a-z?]\)>/\1 /p' "$manual" |
    while read -r name args; do
        echo "$name" "$(grep -oE 'B<-[A-Za-z]+>' <<<"$args" | grep -oE '[A-Za-z]+>' |
            grep -o '[A-Za-z]' | sort -u | tr -d '\n' || true)"
    done >"$tmp/items"
[ "$(wc -l <"$tmp/commands")" -gt 20 ]
diff -u --label help --label docs/blk-io.pod <(sort "$tmp/commands") \
    <(grep -v '^. ' "$tmp/items" | sort)
# What has one letter stands for one of them.
grep '^. ' "$tmp/items" | while read -r name _; do
    "$blk_io" -c "help $name" >"$tmp/text" || { echo "no command '$name'"; exit 1; }
done
