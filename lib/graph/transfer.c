/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a node to its driver: a read or write in pieces that the driver takes.
 *
 * Usually that is one piece, the caller's own vector.  Otherwise a piece is a
 * part of the vector, or, where the memory does not suit the driver, a bounce
 * buffer.
 */
#include "graph/graph-int.h"

#include <errno.h>

#define BOUNCE_MAX (1 << 20)   /* memory that one bounced request may take */

typedef struct Transfer {
    BlockDriverState *bs;
    bool is_write;
    int flags;
    int64_t offset;          /* of the next piece */
    QEMUIOVector *qiov;
    size_t done;             /* bytes of qiov */
} Transfer;

static int coroutine_fn call_driver(Transfer *t, int64_t bytes, QEMUIOVector *qiov)
{
    const BlockDriver *drv = t->bs->drv;

    if (t->is_write) {
        return drv->bdrv_co_pwritev
               ? drv->bdrv_co_pwritev(t->bs, t->offset, bytes, qiov, t->flags) : -ENOTSUP;
    }
    return drv->bdrv_co_preadv
           ? drv->bdrv_co_preadv(t->bs, t->offset, bytes, qiov, t->flags) : -ENOTSUP;
}

/* ---- what suits the driver ---- */

/* Elements must start aligned; their lengths need it only as far as requests do. */
static bool memory_suits(const BlockLimits *bl, const QEMUIOVector *qiov)
{
    size_t mem = bl->min_mem_alignment, len = MIN_OF(mem, bl->request_alignment);
    uintptr_t starts = 0, lengths = 0;

    if (mem <= 1) {
        return true;
    }
    for (int i = 0; i < qiov->niov; i++) {
        starts |= (uintptr_t)qiov->iov[i].iov_base;
        lengths |= qiov->iov[i].iov_len;
    }
    return (starts & (mem - 1)) == 0 && (lengths & (len - 1)) == 0;
}

static bool suits_as_it_is(const Transfer *t, int64_t bytes)
{
    const BlockLimits *bl = &t->bs->bl;

    if ((uint64_t)bytes != t->qiov->size) {
        return false;
    }
    return t->bs->drv->is_passthrough ||
           ((bl->max_transfer == 0 || bytes <= bl->max_transfer) &&
            t->qiov->niov <= bl->max_iov && memory_suits(bl, t->qiov));
}

/* How many of the next `bytes` bytes of the vector lie in at most max_iov elements. */
static int64_t bytes_in_elements(const Transfer *t, int64_t bytes, int max_iov)
{
    size_t skip = t->done;
    int64_t n = 0;
    int i = 0;

    while (i < t->qiov->niov && skip >= t->qiov->iov[i].iov_len) {
        skip -= t->qiov->iov[i++].iov_len;
    }
    for (; i < t->qiov->niov && max_iov > 0 && n < bytes; i++, max_iov--) {
        n += t->qiov->iov[i].iov_len - skip;
        skip = 0;
    }
    return MIN_OF(n, bytes);
}

/* ---- pieces ---- */

/* A bounce buffer in place of the vector.  Returns the piece's bytes or -errno. */
static int64_t coroutine_fn transfer_bounced(Transfer *t, int64_t bytes)
{
    const BlockLimits *bl = &t->bs->bl;
    int64_t most = bl->request_alignment > BOUNCE_MAX ? bl->request_alignment : BOUNCE_MAX;
    int64_t n = MIN_OF(bytes, most);
    void *buf = qemu_try_memalign(bl->opt_mem_alignment, n);
    struct iovec iov = { .iov_base = buf, .iov_len = n };
    QEMUIOVector qiov;
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    qemu_iovec_init_external(&qiov, &iov, 1);
    if (t->is_write) {
        qemu_iovec_to_buf(t->qiov, t->done, buf, n);
    }
    ret = call_driver(t, n, &qiov);
    if (ret >= 0 && !t->is_write) {
        qemu_iovec_from_buf(t->qiov, t->done, buf, n);
    }
    qemu_vfree(buf);
    return ret < 0 ? ret : n;
}

/* A part of the vector.  Returns the piece's bytes or -errno. */
static int64_t coroutine_fn transfer_part(Transfer *t, int64_t bytes)
{
    const BlockLimits *bl = &t->bs->bl;
    int64_t n = bytes;
    QEMUIOVector part;
    int ret;

    if (!t->bs->drv->is_passthrough) {
        n = bytes_in_elements(t, bytes, bl->max_iov);
        n = ROUND_DOWN(n, bl->request_alignment);
        if (n == 0) {
            return transfer_bounced(t, bytes);
        }
    }
    qemu_iovec_init(&part, 1);
    qemu_iovec_concat(&part, t->qiov, t->done, n);
    if (!t->bs->drv->is_passthrough && !memory_suits(bl, &part)) {
        qemu_iovec_destroy(&part);
        return transfer_bounced(t, bytes);
    }
    ret = call_driver(t, n, &part);
    qemu_iovec_destroy(&part);
    return ret < 0 ? ret : n;
}

static int coroutine_fn transfer_in_pieces(Transfer *t, int64_t bytes)
{
    const BlockLimits *bl = &t->bs->bl;
    bool limited = !t->bs->drv->is_passthrough && bl->max_transfer > 0;

    BDRV_PRECONDITION((uint64_t)bytes <= t->qiov->size, "the vector is too short");
    while (bytes > 0) {
        int64_t n = transfer_part(t, limited ? MIN_OF(bytes, bl->max_transfer) : bytes);

        if (n < 0) {
            return n;
        }
        t->offset += n;
        t->done += n;
        bytes -= n;
    }
    return 0;
}

static int coroutine_fn transfer(Transfer *t, int64_t bytes)
{
    int ret = suits_as_it_is(t, bytes) ? call_driver(t, bytes, t->qiov)
                                       : transfer_in_pieces(t, bytes);

    return ret < 0 ? ret : 0;
}

int coroutine_fn bdrv_transfer_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov)
{
    Transfer t = { .bs = bs, .offset = offset, .qiov = qiov };

    return transfer(&t, bytes);
}

int coroutine_fn bdrv_transfer_write(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     QEMUIOVector *qiov, int flags)
{
    Transfer t = { .bs = bs, .is_write = true, .flags = flags, .offset = offset, .qiov = qiov };

    return transfer(&t, bytes);
}

int64_t bdrv_piece_size(int64_t offset, int64_t bytes, int64_t align, int64_t max)
{
    int64_t head = offset % align, n = bytes;

    if (head) {
        n = MIN_OF(bytes, align - head);
    } else if (bytes > align) {
        n = ROUND_DOWN(bytes, align);
    }
    if (max > 0 && n > max) {
        n = max > align ? ROUND_DOWN(max, align) : max;
    }
    return n;
}
