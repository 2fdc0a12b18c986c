#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A key that is wrong is an error that says what is wrong with it.
source "$(dirname "$0")/common.sh"
requires qemu-img

make_image qcow2 1M
refused 'name what to serve' "$PLUGIN"
refused 'name what to serve' "$PLUGIN" "$image" dir="$tmp"
refused "unknown key 'cash'" "$PLUGIN" "$image" cash=none
refused 'cache=fast: should be writeback' "$PLUGIN" "$image" cache=fast
refused 'discard=maybe: should be unmap or ignore' "$PLUGIN" "$image" discard=maybe
refused "Unknown event loop engine 'fibres'" "$PLUGIN" "$image" aio=fibres
refused 'cache.direct=on' "$PLUGIN" "$image" aio=native
refused 'format= does not go together with image-opts=' \
    "$PLUGIN" format=raw image-opts="driver=raw,file.filename=$image"
refused "Unknown driver 'qcow3'" "$PLUGIN" "$image" format=qcow3
refused 'image-opts' "$PLUGIN" image-opts="driver=qcow2,nonsense"
refused 'nonsense' "$PLUGIN" image-opts="driver=qcow2,file.filename=$image,nonsense=on"
refused 'detect-zeroes' "$PLUGIN" "$image" detect-zeroes=sometimes
refused "unknown key 'throttle.bps'" "$PLUGIN" "$image" throttle.bps=1
refused 'throttle' "$PLUGIN" "$image" throttle.bps-total=many
refused 'throttle' "$PLUGIN" "$image" throttle.bps-total=1 throttle.bps-read=1
refused 'throttle.group= needs a value' "$PLUGIN" "$image" throttle.group=
refused "$tmp/none" "$PLUGIN" "$tmp/none"
refused 'No such file or directory' "$PLUGIN" "$tmp/none"
refused "$tmp/none" "$PLUGIN" dir="$tmp/none"
refused "Unknown protocol 'gopher'" "$PLUGIN" gopher://disk
refused 'napshot' "$PLUGIN" "$image" load-snapshot=never
refused 'boolean' "$PLUGIN" "$image" snapshot=perhaps
echo 'QFI and no more' >"$tmp/broken"
refused "$tmp/broken" "$PLUGIN" "$tmp/broken" format=qcow2
