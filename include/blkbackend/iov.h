/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scatter/gather vectors.  The caller owns vector, array and data; see rule R5
 * of the contract for how long an AIO request borrows them.
 * Threads: a vector belongs to one thread (or request) at a time.
 */
#ifndef BLKBACKEND_IOV_H
#define BLKBACKEND_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct QEMUIOVector {
    struct iovec *iov;
    int niov;
    int nalloc;   /* capacity of iov; -1: external array, neither grown nor freed */
    size_t size;  /* bytes: sum of all lengths */
} QEMUIOVector;

void qemu_iovec_init(QEMUIOVector *qiov, int alloc_hint);  /* empty, with an array of its own */
/* Over niov elements of the caller's array, which stays his. */
void qemu_iovec_init_external(QEMUIOVector *qiov, struct iovec *iov, int niov);
void qemu_iovec_add(QEMUIOVector *qiov, void *base, size_t len);   /* not if external */
/* Appends `bytes` of src from byte `soffset` on (the data is shared, not copied). */
void qemu_iovec_concat(QEMUIOVector *dst, QEMUIOVector *src, size_t soffset, size_t bytes);
bool qemu_iovec_is_zero(QEMUIOVector *qiov);   /* all data is zero bytes */
void qemu_iovec_destroy(QEMUIOVector *qiov);   /* frees the array, not the data */
void qemu_iovec_reset(QEMUIOVector *qiov);     /* empties, keeps the capacity */
/* The next three return the number of bytes moved: less than asked at the vector's end. */
size_t qemu_iovec_to_buf(QEMUIOVector *qiov, size_t offset, void *buf, size_t bytes);
size_t qemu_iovec_from_buf(QEMUIOVector *qiov, size_t offset, const void *buf, size_t bytes);
size_t qemu_iovec_memset(QEMUIOVector *qiov, size_t offset, int fillc, size_t bytes);

/* True if all `len` bytes are zero (len 0: true). */
bool buffer_is_zero(const void *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
