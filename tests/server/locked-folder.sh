#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who holds a lock on the folder of a unix socket does not keep a server from starting there.
source "$(dirname "$0")/common.sh"
requires flock

truncate -s 1M "$tmp/disk"
exec 8<"$tmp"
flock 8
start_server --format=raw "$tmp/disk"
stop_server
