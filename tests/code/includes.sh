#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A C file that calls one of these functions includes the header that declares it.
source "$(dirname "$0")/../functions.sh"
cd "$abs_top_srcdir"

# with_own FILE: FILE and the private headers that it includes, and theirs.
with_own() {
    local name found

    echo "$1"
    sed -nE 's/^ *# *include "([^"]*)".*/\1/p' "$1" | while read -r name; do
        for found in "${1%/*}/$name" "lib/$name" "$name"; do
            [ -f "$found" ] && { with_own "$found"; break; }
        done
    done
}

# uses NAMES HEADER: each file that calls one of NAMES includes HEADER, itself or by way of a
# private header.
uses() {
    local call="(^|[^a-zA-Z0-9_.>\"])($1)\\(" header=$2 file own

    while read -r file; do
        mapfile -t own < <(with_own "$file")
        if ! grep -qE "^ *# *include <$header>" "${own[@]}"; then
            echo "$file: $(grep -nE "$call" "$file" | head -n 1): includes no <$header>"
            wrong=1
        fi
    done < <(grep -rlE "$call" lib nbd-server plugins tools common examples tests bench fuzz \
        --include='*.c')
}

wrong=0
uses 'assert' assert.h
uses 'fallocate|F_OFD_SETLK' fcntl.h
uses 'pthread_create|pthread_mutex_lock' pthread.h
uses 'sigaction|sigprocmask' signal.h
uses 'fprintf|printf|snprintf|vasprintf' stdio.h
uses 'malloc|calloc|realloc|abort|exit' stdlib.h
uses 'memcpy|memset|strcmp|strlen|strerror' string.h
uses 'ioctl' sys/ioctl.h
uses 'mmap|munmap' sys/mman.h
uses 'accept4|bind|sendmsg' sys/socket.h
uses 'fstat|lstat' sys/stat.h
[ $wrong -eq 0 ]
