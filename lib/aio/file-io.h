/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * File I/O for drivers, in the calling coroutine's context: one request on that
 * thread's ring, or a job in the thread pool where there is no ring.  In a
 * context private to a plain thread (synchronous calls) they simply block.
 * Results as the system call's, errors as -errno; no retry, may be short.
 */
#ifndef BLKBACKEND_FILE_IO_H
#define BLKBACKEND_FILE_IO_H

#include <sys/uio.h>
#include <blkbackend/aio.h>

ssize_t coroutine_fn aio_co_preadv(int fd, const struct iovec *iov, int niov, int64_t offset);
ssize_t coroutine_fn aio_co_pwritev(int fd, const struct iovec *iov, int niov, int64_t offset,
                                    int rw_flags /* RWF_DSYNC or 0 */);
/* The same in a worker thread, ring or no ring. */
ssize_t coroutine_fn aio_co_preadv_aside(int fd, const struct iovec *iov, int niov, int64_t offset);
ssize_t coroutine_fn aio_co_pwritev_aside(int fd, const struct iovec *iov, int niov,
                                          int64_t offset, int rw_flags);
int coroutine_fn aio_co_fdatasync(int fd);
int coroutine_fn aio_co_fallocate(int fd, int mode, int64_t offset, int64_t len);

/* Reads that the page cache can answer are done in place: by a ring, or because we may block. */
bool aio_co_has_ring(void);

#endif
