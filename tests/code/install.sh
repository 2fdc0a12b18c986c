#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make install` leaves is complete: a program builds with pkg-config and runs, nbd-export runs
# without the build folder, and the manual is there.
source "$(dirname "$0")/../functions.sh"
requires make pkg-config readelf

unset MAKEFLAGS MFLAGS MAKELEVEL
dest=$tmp/dest
# One at a time: libtool links again to install, in the build folder.
flock "$abs_top_builddir/config.status" \
    make -s -C "$abs_top_builddir" install DESTDIR="$dest" >"$tmp/install.log" 2>&1 ||
    { cat "$tmp/install.log"; fail "make install"; }
pc=$(find "$dest" -name blkbackend.pc)
lib=$(dirname "$(find "$dest" -name libblkbackend.so.0)")
bin=$(find "$dest" -path '*/bin/nbd-export')
for program in nbd-ctl nbd-export; do
    [ -n "$(find "$dest" -path "*/completions/$program")" ] || fail "no completion of $program"
    [ -n "$(find "$dest" -name $program.1)" ] || fail "no manual of $program"
done

readelf -d "$lib/libblkbackend.so.0" | grep -q 'soname: \[libblkbackend\.so\.0\]' || fail "soname"
if readelf -d "$bin" "$lib/libblkbackend.so.0" | grep PATH | grep -F "$abs_top_builddir"; then
    fail "an installed file looks for libraries in the build folder"
fi
LD_LIBRARY_PATH=$lib "$bin" --version

cat >"$tmp/program.c" <<END
#include <stdio.h>
#include <blkbackend/block-backend.h>
int main(int argc, char **argv)
{
    Error *err = NULL;
    BlockBackend *blk;

    qemu_init_main_loop(&error_abort);
    blk = blk_new_open(argc > 1 ? argv[1] : "", NULL, NULL, 0, &err);
    if (!blk) {
        error_report_err(err);
        return 1;
    }
    printf("%lld\n", (long long)blk_getlength(blk));
    blk_unref(blk);
    return 0;
}
END
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dest
read -r -a flags <<<"$(pkg-config --cflags --libs blkbackend) ${SANITIZERS:+-fsanitize=$SANITIZERS}"
# shellcheck disable=SC2086 # $CC may have arguments
${CC:-cc} -Wall -Werror -o "$tmp/program" "$tmp/program.c" "${flags[@]}"
truncate -s 1M "$tmp/disk"
[ "$(LD_LIBRARY_PATH=$lib "$tmp/program" "$tmp/disk")" = 1048576 ]
