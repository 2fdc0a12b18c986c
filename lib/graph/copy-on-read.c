/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copy-on-read (§3.14): what a read fetches from the backing file stays in the
 * node.
 *
 * The range is widened to the node's clusters and serialised, so that no write
 * gets between reading the old data and storing it.  It passes through a buffer
 * of our own: the caller may scribble on his while we store.
 */
#include "graph/graph-int.h"

#include <errno.h>

#define FILL_MAX (1 << 20)    /* bytes that one step stores, if clusters are not larger */

void bdrv_enable_copy_on_read(BlockDriverState *bs)
{
    atomic_fetch_add(&bs->copy_on_read, 1);
}

void bdrv_disable_copy_on_read(BlockDriverState *bs)
{
    int users = atomic_fetch_sub(&bs->copy_on_read, 1);

    BDRV_PRECONDITION(users > 0, "copy-on-read switched off more often than on");
}

/* ---- is there anything to store? ---- */

static bool wanted(BlockDriverState *bs, int flags)
{
    return (atomic_load_explicit(&bs->copy_on_read, memory_order_relaxed) > 0 ||
            (flags & BDRV_REQ_COPY_ON_READ)) &&
           !(flags & BDRV_REQ_NO_SERIALISING) && bdrv_check_writable(bs) == 0;
}

int coroutine_fn bdrv_must_fill(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags)
{
    int64_t n;
    int ret;

    if (!wanted(bs, flags)) {
        return 0;
    }
    ret = bdrv_co_block_status(bs, offset, bytes, &n, NULL, NULL);
    return ret < 0 ? ret : !(ret & BDRV_BLOCK_ALLOCATED) || n < bytes;
}

/* ---- reading and storing ---- */

typedef struct Fill {
    BlockDriverState *bs;
    int64_t offset, bytes;      /* what the caller reads */
    QEMUIOVector *qiov;
    uint8_t *buf;
} Fill;

static int coroutine_fn store(Fill *f, int64_t pos, int64_t n, QEMUIOVector *qiov)
{
    if (f->bs->drv->bdrv_co_pwrite_zeroes && buffer_is_zero(f->buf, (size_t)n)) {
        return bdrv_transfer_zeroes(f->bs, pos, n, 0);
    }
    return bdrv_transfer_write(f->bs, pos, n, qiov, 0);
}

static void hand_over(Fill *f, int64_t pos, int64_t n)
{
    int64_t from = pos > f->offset ? pos : f->offset;
    int64_t to = MIN_OF(pos + n, f->offset + f->bytes);

    if (from < to) {
        qemu_iovec_from_buf(f->qiov, (size_t)(from - f->offset), f->buf + (from - pos),
                            (size_t)(to - from));
    }
}

/* One step: the next part of [pos, pos + bytes) with one answer to whether bs has it. */
static int64_t coroutine_fn fill_step(Fill *f, int64_t pos, int64_t bytes)
{
    struct iovec iov = { .iov_base = f->buf };
    QEMUIOVector qiov;
    int64_t n;
    int ret, status = bdrv_co_block_status(f->bs, pos, bytes, &n, NULL, NULL);

    if (status < 0) {
        return status;
    }
    n = n == 0 ? bytes : MIN_OF(ROUND_UP(n, (int64_t)f->bs->bl.request_alignment), bytes);
    iov.iov_len = (size_t)n;
    qemu_iovec_init_external(&qiov, &iov, 1);
    ret = bdrv_transfer_read(f->bs, pos, n, &qiov);
    if (ret == 0 && !(status & BDRV_BLOCK_ALLOCATED)) {
        ret = store(f, pos, n, &qiov);
    }
    if (ret < 0) {
        return ret;
    }
    hand_over(f, pos, n);
    return n;
}

static int coroutine_fn fill(Fill *f, int64_t start, int64_t end, int64_t step)
{
    int64_t pos = start;

    f->buf = qemu_try_memalign(f->bs->bl.opt_mem_alignment, (size_t)MIN_OF(end - start, step));
    if (!f->buf) {
        return -ENOMEM;
    }
    while (pos < end) {
        int64_t n = fill_step(f, pos, MIN_OF(end - pos, step));

        if (n < 0) {
            qemu_vfree(f->buf);
            return (int)n;
        }
        pos += n;
    }
    qemu_vfree(f->buf);
    return 0;
}

static int64_t cluster_size(BlockDriverState *bs)
{
    int64_t align = bs->bl.request_alignment;
    int64_t size = bs->drv->bdrv_get_cluster_size ? bs->drv->bdrv_get_cluster_size(bs) : align;

    return size > align ? ROUND_UP(size, align) : align;
}

int coroutine_fn bdrv_fill_and_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov)
{
    int64_t cluster = cluster_size(bs);
    int64_t step = cluster < FILL_MAX ? ROUND_DOWN(FILL_MAX, cluster) : cluster;
    int64_t start = ROUND_DOWN(offset, cluster);
    int64_t end = ROUND_UP(offset + bytes, cluster);
    int64_t length = ROUND_UP(atomic_load(&bs->length), (int64_t)bs->bl.request_alignment);
    Fill f = { .bs = bs, .offset = offset, .bytes = bytes, .qiov = qiov };
    TrackedRequest req;
    int ret;

    tracker_begin(&req, bs, start, end - start, true);
    ret = fill(&f, start, MIN_OF(end, length), step);
    tracker_end(&req);
    return ret;
}
