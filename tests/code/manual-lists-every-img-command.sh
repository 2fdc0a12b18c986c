#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual of blk-img has every subcommand that the table of --help has, with each of its options,
# and names no option that the subcommand does not take.
source "$(dirname "$0")/../functions.sh"
blk_img=$abs_top_builddir/blk-img
manual=$abs_top_srcdir/docs/blk-img.pod

"$blk_img" --help | sed -n '/^Command syntax:/,/^$/s/^  //p' >"$tmp/table"
[ "$(wc -l <"$tmp/table")" -ge 15 ]
cut -d' ' -f1 "$tmp/table" | sort >"$tmp/commands"
sed -n '/^=head1 COMMANDS/,/^=head1 EXIT/s/^=head2 //p' "$manual" | sort >"$tmp/sections"
diff -u --label --help --label docs/blk-img.pod "$tmp/commands" "$tmp/sections"

missing=0
while read -r command synopsis; do
    sed -n "/^=head2 $command\$/,/^=head[12] /p" "$manual" | grep -oE 'B<--?[A-Za-z-]+' |
        sed 's/B<//' | sort -u >"$tmp/named"
    grep -oE -- '(^|[ [(])--?[A-Za-z][A-Za-z-]*' <<<"$synopsis" | tr -d ' [(' | sort -u |
        comm -23 - "$tmp/named" >"$tmp/lacking"
    if [ -s "$tmp/lacking" ]; then
        echo "docs/blk-img.pod, $command lacks:" "$(tr '\n' ' ' <"$tmp/lacking")"
        missing=1
    fi
    while read -r option; do
        "$blk_img" "$command" "$option" 2>&1 </dev/null | grep "unrecognized option '$option'" &&
            missing=1
    done <"$tmp/named"
done <"$tmp/table"
exit $missing
