#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An io_uring without the newest options is used; where there is none, worker threads do the work.
source "$(dirname "$0")/common.sh"
requires "$CC" nm
nm -D --undefined-only "$abs_top_builddir"/.libs/libblkbackend.so* 2>/dev/null |
    grep io_uring_queue_init_params >"$tmp/symbol" || skip "liburing is not linked as a library"

cat >"$tmp/old.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

/* The flags that are refused; "all" refuses everything. */
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    int (*next)(unsigned, struct io_uring *, struct io_uring_params *) =
        (int (*)(unsigned, struct io_uring *, struct io_uring_params *))
        dlsym(RTLD_NEXT, "io_uring_queue_init_params");

    if (getenv("NO_URING")) {
        return -EPERM;
    }
    return p->flags & ~IORING_SETUP_CQSIZE ? -EINVAL : next(entries, ring, p);
}
END
"$CC" -shared -fPIC -o "$tmp/old.so" "$tmp/old.c" -ldl || skip "cannot build the old kernel"

works() {
    /usr/bin/python3 -B -c '
import os, nbd
h = nbd.NBD()
h.connect_uri(os.environ["uri"])
h.pwrite(b"x" * 65536, 512)
h.flush()
assert h.pread(65536, 512) == b"x" * 65536
h.shutdown()'
}
export uri LD_PRELOAD=$tmp/old.so
truncate -s 1M "$tmp/disk"
start_server --format=raw "$tmp/disk"      # $ENGINE, without the flags
works
stop_server

export NO_URING=1
if "$NBD_EXPORT" --aio=io_uring --socket "$tmp/s" --format=raw "$tmp/disk" 2>"$tmp/err"; then
    fail "io_uring was refused, and the server starts with --aio=io_uring"
fi
grep -q -- --aio=threads "$tmp/err"
# shellcheck disable=SC2034 # for start_server
ENGINE=auto
start_server --format=raw "$tmp/disk"
works
stop_server
