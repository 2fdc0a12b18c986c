#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make soak-control` does for an hour, for some seconds: fio verifies while everything changes
# that can be changed.  Each event engine gets another seed.
source "$(dirname "$0")/../functions.sh"
requires fio qemu-img
fio --enghelp | grep -qw nbd || skip "fio was built without its nbd engine"

seed=1
[ "$ENGINE" = io_uring ] || seed=2
SOAK_SECONDS=${SOAK_SECONDS:-15} SEED=${SEED:-$seed} \
    "${PYTHON3:-python3}" -B "$abs_top_srcdir/tests/soak/live-control.py"
