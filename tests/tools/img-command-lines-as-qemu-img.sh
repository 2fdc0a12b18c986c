#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What blk-img refuses of options, words and files, it refuses in the words of qemu-img.

source "$(dirname "$0")/img-side-by-side.sh"

standard_options() {
    t
    t foo
    t -T
    t --foo
    t -T foo info nofile
    t -T 'enable=foo' --trace file=/dev/null info nofile
}
side_by_side standard_options

options_of_subcommands() {
    for command in amend bitmap check compare create info map resize snapshot; do
        t $command
        t $command --foo x
        t $command -
        t $command nofile
        t $command a b c d
    done
    t info -f
    t info --output=x nofile
    t info --object secret,id=a,data=b nofile
    t info --object foo,id=a nofile
    t info --object id=a nofile
    t info -f raw --image-opts driver=raw
    t info -f foo nofile
    t check -r foo nofile
    t check -T foo nofile
    t map -s 1x nofile
    t map -l -1 nofile
    t map -s 9E nofile
    t snapshot -l -c x nofile
    t snapshot -c x -d y nofile
    t amend -o , nofile
    t compare -T foo nofile nofile
}
side_by_side options_of_subcommands

help_names_every_subcommand() {
    # One option of convert that qemu-img has, but forgets here.
    qemu-img --help | sed -n '/^Command syntax/,/^$/p' | sed 's/ \[--skip-broken-bitmaps\]//'
    qemu-img info -h | grep -c '^Supported formats: .*qcow2'
    qemu-img --version | sed -nE 's/^(qemu-img version 7\.2)\..*/\1/p'
}
side_by_side help_names_every_subcommand
