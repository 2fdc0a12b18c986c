#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The examples, and the program in the manual, build with what `make install` installs and nothing
# else, without a warning, in C11 and in the compiler's own dialect, and do what they say.
source "$(dirname "$0")/../functions.sh"
requires make pkg-config

unset MAKEFLAGS MFLAGS MAKELEVEL
dest=$tmp/dest
# One at a time: libtool links again to install, in the build folder.
flock "$abs_top_builddir/config.status" \
    make -s -C "$abs_top_builddir" install DESTDIR="$dest" >"$tmp/install.log" 2>&1 ||
    { cat "$tmp/install.log"; fail "make install"; }
pc=$(find "$dest" -name blkbackend.pc)
lib=$(dirname "$(find "$dest" -name libblkbackend.so.0)")
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dest LD_LIBRARY_PATH=$lib
read -r -a flags <<<"$(pkg-config --cflags --libs blkbackend) ${SANITIZERS:+-fsanitize=$SANITIZERS}"

mkdir "$tmp/bin"
# build SOURCE: makes $tmp/bin/PROGRAM.
build() {
    local dialect

    # shellcheck disable=SC2086 # $CC may have arguments
    for dialect in "" -std=gnu11; do
        ${CC:-cc} $dialect -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror \
            -o "$tmp/bin/$(basename "$1" .c)" "$1" "${flags[@]}"
    done
}

for source in "$abs_top_srcdir"/examples/*.c; do
    program=$(basename "$source" .c)
    echo "$program"
    build "$source"
    EXAMPLES=$tmp/bin ENGINE=auto bash "$abs_top_srcdir/tests/lib/example-$program.sh"
done

sed -n '/^=head1 EXAMPLE/,/^=head1 STARTING/s/^ //p' "$abs_top_srcdir/docs/libblkbackend.pod" \
    >"$tmp/manual.c"
build "$tmp/manual.c"
printf '*' >"$tmp/disk"
truncate -s 1M "$tmp/disk"
[ "$("$tmp/bin/manual" "$tmp/disk")" = "1048576 bytes, the first is 2a" ]
