#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dd copies as many blocks as asked for from where it is told, with qemu-img's output and result.

source "$(dirname "$0")/img-side-by-side.sh"

head -c 1000448 /dev/urandom >"$tmp/source"

parts() {
    cp "$tmp/source" in
    t dd -f raw -O raw if=in of=all
    t dd -f raw -O raw bs=1000 if=in of=bs
    t dd -f raw -O raw bs=4k count=3 if=in of=count
    t dd -f raw -O raw bs=4k count=30 skip=3 if=in of=skip
    t dd -f raw -O raw bs=4k count=3000 skip=3 if=in of=more
    t dd -f raw -O raw bs=700 count=7 skip=1 if=in of=odd
    t dd -f raw -O raw bs=1M skip=1 if=in of=end
    t dd -f raw -O raw bs=1M skip=2 if=in of=beyond
    t dd -f raw -O raw count=0 if=in of=none
    t dd -f raw -O raw bs=2G if=in of=big
    t dd -f raw -O raw bs=1G skip=9999999999 if=in of=overflow
    stat -c '%n %s' -- *
}
side_by_side parts
for part in all bs count skip more odd end beyond none overflow; do
    cmp "$tmp/theirs/$part" "$tmp/ours/$part"
done

formats() {
    cp "$tmp/source" in
    t dd -U -f raw -O qcow2 bs=64k if=in of=q
    sound q
    t dd --image-opts -O raw if=driver=qcow2,file.filename=q of=back
    cmp in back
}
side_by_side formats
equal -f qcow2 -F qcow2 q

refusals() {
    cp "$tmp/source" in
    t dd
    t dd if=in
    t dd of=out
    t dd if=in of=out bs=0
    t dd if=in of=out bs=x
    t dd if=in of=out count=-1
    t dd if=in of=out skip=z
    t dd if=in of=out seek=1
    t dd if=in of=out word
    t dd -O nonsense -f raw if=in of=out
    t dd -f raw -O raw if=missing of=out
    t dd -f raw -O raw if=in of=missing/out
    t dd -f raw --nonsense if=in of=out
}
side_by_side refusals
