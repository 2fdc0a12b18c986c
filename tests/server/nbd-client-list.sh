#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# nbd-client's handshake: it lists the exports over TCP.
source "$(dirname "$0")/common.sh"
requires nbd-client

truncate -s 1M "$tmp/disk"
port=$(free_port)
start_server --bind=127.0.0.1 --port="$port" --format=raw --export-name=shelf "$tmp/disk"
timeout 60 nbd-client -l 127.0.0.1 "$port" | tee "$tmp/out"
grep -qx shelf "$tmp/out" || fail "the export is not listed"
