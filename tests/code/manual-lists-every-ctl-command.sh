#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual of nbd-ctl has every command of its table with each of its options, and names no option
# that the command does not take.
source "$(dirname "$0")/../functions.sh"
manual=$abs_top_srcdir/docs/nbd-ctl.pod

"$abs_top_builddir/nbd-ctl" --list-commands >"$tmp/table"
grep ^command "$tmp/table" | cut -f2 | sort >"$tmp/commands"
[ "$(wc -l <"$tmp/commands")" -ge 20 ]
sed -n '/^=head1 COMMANDS/,/^=head1 EXIT/s/^=head2 //p' "$manual" | sort >"$tmp/sections"
diff -u --label --list-commands --label docs/nbd-ctl.pod "$tmp/commands" "$tmp/sections"

# same_options COMMAND FIRST-LINE: the options of the table, and those of the items of a section.
same_options() {
    local command=$1 first=$2

    grep $'^option\t'"$command"$'\t' "$tmp/table" | cut -f3 | sort >"$tmp/taken" || true
    sed -n "/^$first\$/,/^=head[12] /p" "$manual" | grep ^=item | grep -oE 'B<--[a-z-]+' |
        sed 's/B<--//' | sort >"$tmp/named" || true
    diff -u --label "--list-commands: $command" --label docs/nbd-ctl.pod \
        "$tmp/taken" "$tmp/named" || missing=1
}

missing=0
same_options - "=head1 OPTIONS"
while read -r command; do
    same_options "$command" "=head2 $command"
done <"$tmp/commands"

# Short options, too.
while IFS=$'\t' read -r _ _ name letter _; do
    if [ "$letter" != - ] && ! grep -q "^=item B<-$letter>.* B<--$name>" "$manual"; then
        echo "docs/nbd-ctl.pod: no \"=item B<-$letter>, B<--$name>\""
        missing=1
    fi
done < <(grep ^option "$tmp/table")
exit $missing
