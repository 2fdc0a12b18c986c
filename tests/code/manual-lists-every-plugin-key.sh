#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual of the nbdkit plugin has the keys that its help has, and these are those that its code
# looks for.
source "$(dirname "$0")/../functions.sh"
manual=$abs_top_srcdir/docs/nbdkit-blkbackend-plugin.pod
plugins=$abs_top_srcdir/plugins

sed -nE 's/^ +"\[?([a-z.-]+)(LIMIT)?=.*/\1\2/p' "$plugins/blkbackend.c" | sort -u >"$tmp/in-help"
sed -nE '/^=head1 KEYS/,/^=back/s/^=item \[?B<([a-zA-Z.-]+)=>.*/\1/p' "$manual" |
    sort -u >"$tmp/in-manual"
{
    sed -nE 's/.*strcmp\(key, "([a-z-]+)"\).*/\1/p' "$plugins/settings.c"
    printf 'throttle.%s\n' LIMIT group
} | sort -u >"$tmp/in-code"

[ "$(wc -l <"$tmp/in-code")" -ge 12 ]
diff -u --label "the plugin's help" --label "the manual" "$tmp/in-help" "$tmp/in-manual"
diff -u --label "the plugin's help" --label "its code" "$tmp/in-help" "$tmp/in-code"
for limit in bps-total bps-read bps-write iops-total iops-read iops-write iops-size; do
    grep -q "B<throttle\.$limit>" "$manual" || fail "the manual lacks throttle.$limit"
done
