/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit: what overlays decide goes into a backing file of theirs (§3.11).
 *
 * An error midway leaves data in the backing file that the overlay still
 * covers: nobody sees it.  An overlay forgets its own only when the backing
 * file's is on stable storage.
 */
#include "graph/graph-int.h"

#include <errno.h>

#include <blkbackend/image.h>

#define COMMIT_PIECE (4 << 20)          /* bytes between two reports, and two looks at the clock */

typedef struct Commit {
    BlockDriverState *top, *base;
    bool empties;                      /* the overlay, once its data are safe */
    BdrvRate rate;
    BdrvProgressFunc *progress;
    void *opaque;
} Commit;

/* ---- a limit of bytes a second ---- */

void bdrv_rate_start(BdrvRate *rate, int64_t bytes_per_second)
{
    *rate = (BdrvRate){ .bytes_per_second = bytes_per_second,
                        .started = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) };
}

int64_t bdrv_rate_account(BdrvRate *rate, int64_t bytes)
{
    int64_t ahead;

    if (rate->bytes_per_second <= 0) {
        return 0;
    }
    rate->copied += bytes;
    ahead = (int64_t)((double)rate->copied / (double)rate->bytes_per_second * 1e9) -
            (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - rate->started);
    return ahead > 0 ? ahead : 0;
}

/* ---- copying ---- */

int64_t coroutine_fn bdrv_co_commit_piece(BlockDriverState *top, BlockDriverState *base,
                                          int64_t offset, int64_t bytes, int64_t max, int64_t *n,
                                          bool *is_read)
{
    int depth, ret = bdrv_co_block_status_where(top, base, offset, bytes, n, NULL, NULL, &depth);
    bool zero = ret & BDRV_BLOCK_ZERO;

    *is_read = true;
    if (ret < 0) {
        return ret;
    }
    if (!(ret & BDRV_BLOCK_ALLOCATED)) {
        return *n == 0 || zero ? -EIO : 0;      /* past the end: it shrank under us */
    }
    *n = zero ? *n : MIN_OF(*n, max);
    ret = bdrv_co_copy_range(top, offset, base, offset, *n, BDRV_REQ_MAY_UNMAP, is_read);
    return ret < 0 ? ret : zero ? 0 : *n;
}

static int64_t coroutine_fn copy_allocated(void *opaque)
{
    Commit *c = opaque;
    int64_t offset, n, wait, length = bdrv_co_getlength(c->top);
    int64_t ret = length < 0 ? length : 0;
    bool is_read;

    bdrv_rate_start(&c->rate, c->rate.bytes_per_second);
    for (offset = 0; ret >= 0 && offset < length; offset += n) {
        ret = bdrv_co_commit_piece(c->top, c->base, offset,
                                   MIN_OF(length - offset, BDRV_REQUEST_MAX_BYTES), COMMIT_PIECE,
                                   &n, &is_read);
        wait = ret > 0 ? bdrv_rate_account(&c->rate, ret) : 0;
        if (wait > 0) {
            qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, wait);
        }
        if (ret >= 0 && c->progress) {
            c->progress(c->opaque, offset + n, length);
        }
    }
    return ret < 0 ? ret : 0;
}

/* ---- steps ---- */

int bdrv_commit_make_room(BlockDriverState *top, BlockDriverState *base, Error **errp)
{
    int64_t length = bdrv_getlength(top), below = bdrv_getlength(base);

    if (length < 0 || below < 0) {
        below = length < 0 ? length : below;
        error_setg_errno(errp, (int)-below, "Could not find out how long the images are");
        return (int)below;
    }
    return length > below ? bdrv_truncate(base, length, PREALLOC_MODE_OFF, errp) : 0;
}

static int empty_overlay(BlockDriverState *bs)
{
    int ret;

    if (!bs->drv->bdrv_co_make_empty) {
        return 0;
    }
    ret = bdrv_make_empty(bs, NULL);
    return ret < 0 ? ret : bdrv_flush(bs);
}

static int commit_writable(Commit *c, Error **errp)
{
    int ret = bdrv_commit_make_room(c->top, c->base, errp);

    if (ret < 0) {
        return ret;
    }
    ret = (int)bdrv_run_sync(copy_allocated, c);
    if (ret == 0) {
        ret = bdrv_flush(c->base);
    }
    if (ret == 0 && c->empties) {
        ret = empty_overlay(c->top);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not commit '%s' to '%s'", bdrv_filename(c->top),
                         bdrv_filename(c->base));
    }
    return ret;
}

static int commit_drained(Commit *c, Error **errp)
{
    int flags = bdrv_get_flags(c->base), ret = 0;
    bool was_read_only = c->base->read_only;

    if (was_read_only && bdrv_reopen(c->base, flags | BDRV_O_RDWR, errp) < 0) {
        return -EACCES;
    }
    ret = commit_writable(c, errp);
    if (was_read_only) {
        bdrv_reopen(c->base, flags, NULL);
    }
    return ret;
}

bool bdrv_is_below(BlockDriverState *base, BlockDriverState *top)
{
    while (top && top != base) {
        top = top->backing;
    }
    return top != NULL;
}

/* 0, or why not. */
static int check_commit(BlockDriverState *top, BlockDriverState *base, Error **errp)
{
    if (!top->drv) {
        error_setg(errp, "There is no medium");
        return -ENOMEDIUM;
    }
    if (!base || base == top || !bdrv_is_below(base, top)) {
        error_setg(errp, "'%s' is not in the backing chain of '%s'",
                   base ? bdrv_filename(base) : "", bdrv_filename(top));
        return -ENOTSUP;
    }
    return bdrv_op_is_blocked(top, BLOCK_OP_TYPE_COMMIT_SOURCE, errp) ||
           bdrv_op_is_blocked(base, BLOCK_OP_TYPE_COMMIT_TARGET, errp) ? -EBUSY : 0;
}

static int run_commit(Commit *c, Error **errp)
{
    int ret = check_commit(c->top, c->base, errp);

    if (ret == 0) {
        bdrv_drained_begin(c->top);
        ret = commit_drained(c, errp);
        bdrv_drained_end(c->top);
    }
    return ret;
}

int bdrv_commit_to(BlockDriverState *top, BlockDriverState *base, int64_t bytes_per_second,
                   BdrvProgressFunc *progress, void *opaque, Error **errp)
{
    Commit commit = { .top = top, .base = base,
                      .rate.bytes_per_second = bytes_per_second,
                      .progress = progress, .opaque = opaque };

    return run_commit(&commit, errp);
}

int bdrv_commit(BlockDriverState *bs)
{
    Commit commit = { .top = bs, .base = bs->backing, .empties = true };

    return run_commit(&commit, NULL);
}
