#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# systemd has nothing to say against the units.

source "$(dirname "$0")/../functions.sh"
requires systemd-analyze

units=$tmp/units
mkdir "$units"
for unit in "$abs_top_srcdir"/systemd/*.service.in "$abs_top_srcdir"/systemd/*.socket; do
    name=${unit##*/}
    sed -e "s|@bindir@|$(dirname "$NBD_EXPORT")|" -e "s|@sysconfdir@|/etc|" \
        -e "/^@hardening@/{" -e "r $abs_top_srcdir/systemd/hardening.conf" -e "d" -e "}" \
        "$unit" >"$units/${name%.in}"
    if grep "@[a-z]*@" "$units/${name%.in}"; then
        fail "$name: something is not replaced"
    fi
done
# Instances: a template cannot be verified as such.  Where the manual is not installed, and a system
# whose own units are of another kind, are none of ours.
cd "$units"
for suffix in service socket; do
    cp "nbd-export@.$suffix" "nbd-export@srv-disk.img.$suffix"
done
# complaints UNIT...: what there is to say against ours; true if there is something.
complaints() {
    SYSTEMD_UNIT_PATH=$units: systemd-analyze verify --man=no "$@" >"$tmp/out" 2>&1 || true
    grep -E "nbd-export|$units" "$tmp/out"
}
if complaints nbd-export.service nbd-export.socket \
    nbd-export@srv-disk.img.service nbd-export@srv-disk.img.socket; then
    fail "systemd-analyze verify"
fi
# It would have found something.
sed -i 's/^Type=.*/Type=nonesuch/' nbd-export.service
complaints nbd-export.service >/dev/null || fail "systemd-analyze finds no fault with a wrong unit"
