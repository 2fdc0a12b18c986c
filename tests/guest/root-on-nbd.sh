#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest's root file system is on nbd-export: a base that is only read, and what is written goes
# to an overlay in the guest's memory.  What connects is the script that Debian's nbd-client brings
# for the initramfs, with the kernel's command line of docs/mounting.md.
source "$(dirname "$0")/guest.sh"
script=/usr/share/initramfs-tools/scripts/local-top/nbd
[ -e "$script" ] || skip "$script is not installed"
mkdir "$guest_files/scripts"
cp "$script" "$guest_files/scripts/nbd"
# What it takes of initramfs-tools: here, the modules are loaded and the network is up.
cat >"$guest_files/scripts/functions" <<'END'
log_begin_msg() { echo "$*"; }
log_failure_msg() { echo "$*"; exit 1; }
modprobe() { :; }
wait_for_udev() { :; }
configure_networking() { :; }
END

mkdir -p "$tmp/base/"{bin,dev,proc,sys,etc}
cp "$(command -v busybox)" "$tmp/base/bin/busybox"
ln -s busybox "$tmp/base/bin/sh"
echo "the base" >"$tmp/base/etc/motd"
cat >"$tmp/base/etc/start" <<'END'
set -e
export PATH=/bin
busybox mount -t proc proc /proc
busybox grep '^overlay / overlay rw' /proc/mounts
[ "$(busybox cat /etc/motd)" = "the base" ]
echo "changed" >/etc/motd
[ "$(busybox cat /etc/motd)" = "changed" ]
echo "end 0" >&3
read -r _ <&3
END
truncate -s 32M "$tmp/disk"
mke2fs -q -t ext4 -d "$tmp/base" "$tmp/disk"
sum=$(sha256sum "$tmp/disk")
serve --format=raw --read-only --export-name=root "$tmp/disk"

run_guest -k "root=/dev/nbd0 nbdroot=10.0.2.2:$port/root" <<'END'
step "the root file system is on NBD"
mkdir /base /memory /new
sh -e /scripts/nbd
until_true test -e /sys/block/nbd0/pid
mount -t ext4 -o ro /dev/nbd0 /base
mount -t tmpfs tmpfs /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/base,upperdir=/memory/upper,workdir=/memory/work overlay /new
mount -o move /dev /new/dev
echo 'exec switch_root /new /bin/sh /etc/start' >/as-first-process
END

stop_server
[ "$(sha256sum "$tmp/disk")" = "$sum" ] || fail "the base has changed"
