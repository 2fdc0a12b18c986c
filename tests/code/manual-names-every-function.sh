#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual of the library has every function of the public headers, with the prototype that it has
# there, and no other function; each page is sound and in the build.
source "$(dirname "$0")/../functions.sh"
cd "$abs_top_srcdir"

"tests/code/header-symbols" include >"$tmp/declared" || skip "gcc is not installed"
[ "$(wc -l <"$tmp/declared")" -gt 250 ] || fail "hardly a declaration found"
mapfile -t pages < <(grep -lE '^L<libblkbackend\(3\)>|^libblkbackend -' docs/*.pod)
[ ${#pages[@]} -ge 10 ] || fail "hardly a page found"

# Of these letters begin the library's names, in text and in examples.
ours='(aio|bdrv|blk|blkbackend|block|buffer|error|main_loop|monitor|notifier'
ours+='|qbool|qdict|qemu|qint|qstring|throttle|timed|timer)_[a-z0-9_]+'

# statements: standard input without comments, one statement a line.
statements() {
    sed 's/^#.*//' | tr '\n' ' ' | sed -E 's|/\*([^*]\|\*+[^*/])*\*+/||g' | sed 's/[;{}]/\n/g' |
        sed -E 's/__attribute__\(\([a-z]+\([^)]*\)\)\)//; s/[[:space:]]+/ /g; s/^ //; s/ $//'
}

synopses() {
    sed -n '/^=head1 SYNOPSIS/,/^=head1 DESCRIPTION/s/^ //p' "${pages[@]}"
}

export LC_ALL=C
wrong=0
# report WHAT: each line of standard input is wrong.
report() {
    while read -r line; do
        echo "$1: $line"
        wrong=1
    done
}

synopses | grep -oE '[a-zA-Z_0-9]+(\(|;)' | tr -d '(;' | sort -u >"$tmp/in-synopsis"
# Programs use it through macros.
report "in no SYNOPSIS" < <(comm -23 "$tmp/declared" "$tmp/in-synopsis" |
    grep -vx error_setg_internal)

# In the text a function is B<name>(), in an example name(; a page is L<name(3)>.
{ cat "$tmp/declared"; sed -nE 's/^# *define ([a-z_]+)\(.*/\1/p' include/blkbackend/*.h; } |
    sort -u >"$tmp/known"
sed -E 's/B<([a-z0-9_]+)>\(/\1(/g; s/L<[^>]*>//g' "${pages[@]}" |
    grep -oE "\b$ours\(" | tr -d '(' | sort -u |
    comm -13 "$tmp/known" - >"$tmp/unknown"
report "declared in no header" <"$tmp/unknown"

cat include/blkbackend/*.h | statements | grep -F '(' | sort -u >"$tmp/prototypes"
synopses | statements | grep -E "^[a-zA-Z].*\b$ours\(" |
    grep -vE '^(typedef|BLOCK_|error_setg|QINCREF)' | sort -u |
    comm -13 "$tmp/prototypes" - >"$tmp/other"
report "not as in the header" <"$tmp/other"

for page in "${pages[@]}"; do
    grep -qF "${page%.pod}.3" docs/local.mk || report "not in docs/local.mk" <<<"$page"
done
if command -v podchecker >/dev/null; then
    podchecker -warnings -warnings docs/*.pod >"$tmp/podchecker" 2>&1 ||
        report podchecker < <(grep -v 'syntax OK' "$tmp/podchecker")
fi
[ $wrong -eq 0 ]
