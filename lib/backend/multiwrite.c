/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk_aio_multiwrite(): many writes at once, neighbours made into one (§3.12).
 *
 * The array is sorted by start and walked; what touches or overlaps the write
 * before it is merged into that one's vector, as long as the result stays
 * within the medium's limits.  Where two overlap, the one that starts later
 * wins.  All callbacks run together, in the caller's order, when the last of
 * the writes has ended.
 */
#include <stdlib.h>

#include "backend/aio.h"

typedef struct MultiWrite {
    BlockBackend *blk;
    atomic_int pending;      /* merged writes in flight */
    atomic_int error;        /* the first one */
    int num_callbacks;
    QEMUIOVector *vectors;   /* one for each merged write that needed a new one */
    int num_vectors;
    struct {
        BlockCompletionFunc *cb;
        void *opaque;
    } callbacks[];           /* in the caller's order */
} MultiWrite;

/* ---- completion ---- */

static void multiwrite_free(MultiWrite *mw)
{
    for (int i = 0; i < mw->num_vectors; i++) {
        qemu_iovec_destroy(&mw->vectors[i]);
    }
    free(mw->vectors);
    free(mw);
}

static void one_done(void *opaque, int ret)
{
    MultiWrite *mw = opaque;

    int none = 0;

    if (ret < 0) {
        atomic_compare_exchange_strong(&mw->error, &none, ret);
    }
    /* All run in the backend's context; but that may have changed between two of them. */
    if (atomic_fetch_sub(&mw->pending, 1) > 1) {
        return;
    }
    for (int i = 0; i < mw->num_callbacks; i++) {
        mw->callbacks[i].cb(mw->callbacks[i].opaque, mw->error);
    }
    multiwrite_free(mw);
}

/* ---- merging ---- */

static int by_sector(const void *a, const void *b)
{
    const BlockRequest *x = a, *y = b;

    return (x->sector > y->sector) - (x->sector < y->sector);
}

static int64_t end_of(const BlockRequest *req)
{
    return req->sector + req->nb_sectors;
}

static bool can_merge(BlockBackend *blk, const BlockRequest *cur, const BlockRequest *next)
{
    int64_t end = end_of(next) > end_of(cur) ? end_of(next) : end_of(cur);
    int max_transfer = blk_get_max_transfer_length(blk);

    return next->sector <= end_of(cur) && next->flags == cur->flags &&
           cur->qiov->niov + next->qiov->niov + 1 <= blk_get_max_iov(blk) &&
           (max_transfer == 0 ||
            (int64_t)cur->nb_sectors + next->nb_sectors <= max_transfer) &&
           end - cur->sector <= BDRV_REQUEST_MAX_SECTORS;
}

/* cur up to where next starts, then next, then what cur has beyond next's end. */
static void merge(MultiWrite *mw, BlockRequest *cur, BlockRequest *next)
{
    QEMUIOVector *qiov = &mw->vectors[mw->num_vectors++];
    size_t head = (size_t)(next->sector - cur->sector) << BDRV_SECTOR_BITS;
    int64_t end = end_of(cur);

    qemu_iovec_init(qiov, cur->qiov->niov + next->qiov->niov + 1);
    qemu_iovec_concat(qiov, cur->qiov, 0, head);
    qemu_iovec_concat(qiov, next->qiov, 0, next->qiov->size);
    if (end > end_of(next)) {
        size_t covered = head + next->qiov->size;

        qemu_iovec_concat(qiov, cur->qiov, covered, cur->qiov->size - covered);
    }
    cur->qiov = qiov;
    cur->nb_sectors = (int)(qiov->size >> BDRV_SECTOR_BITS);
}

/* Leaves the merged writes at the front of the array; returns how many. */
static int merge_all(MultiWrite *mw, BlockRequest *reqs, int num_reqs)
{
    int last = 0;

    qsort(reqs, (size_t)num_reqs, sizeof(reqs[0]), by_sector);
    for (int i = 1; i < num_reqs; i++) {
        if (can_merge(mw->blk, &reqs[last], &reqs[i])) {
            merge(mw, &reqs[last], &reqs[i]);
        } else {
            BlockRequest merged_away = reqs[++last];

            reqs[last] = reqs[i];
            reqs[i] = merged_away;      /* whole elements move; none is lost to the caller */
        }
    }
    return last + 1;
}

/* ---- submission ---- */

static MultiWrite *multiwrite_new(BlockBackend *blk, const BlockRequest *reqs, int num_reqs)
{
    MultiWrite *mw = calloc(1, sizeof(*mw) + (size_t)num_reqs * sizeof(mw->callbacks[0]));

    if (!mw || !(mw->vectors = calloc((size_t)num_reqs, sizeof(*mw->vectors)))) {
        abort();
    }
    mw->blk = blk;
    mw->num_callbacks = num_reqs;
    for (int i = 0; i < num_reqs; i++) {
        mw->callbacks[i].cb = reqs[i].cb;
        mw->callbacks[i].opaque = reqs[i].opaque;
    }
    return mw;
}

/* D22: what is refused is refused as a whole, and every element says so. */
static int refuse(BlockRequest *reqs, int num_reqs, int error)
{
    for (int i = 0; i < num_reqs; i++) {
        reqs[i].error = error;
    }
    return error;
}

int blk_aio_multiwrite(BlockBackend *blk, BlockRequest *reqs, int num_reqs)
{
    MultiWrite *mw;
    int num_writes;

    for (int i = 0; i < num_reqs; i++) {
        int ret = blk_check_range(blk, blk_sector_offset(reqs[i].sector),
                                  blk_sector_bytes(reqs[i].sector, reqs[i].nb_sectors));

        if (ret < 0) {
            return refuse(reqs, num_reqs, ret);
        }
        BLK_PRECONDITION(reqs[i].qiov->size == (size_t)reqs[i].nb_sectors << BDRV_SECTOR_BITS,
                         "a vector's size is not that of its sectors");
    }
    if (num_reqs == 0) {
        return 0;
    }
    mw = multiwrite_new(blk, reqs, num_reqs);
    num_writes = merge_all(mw, reqs, num_reqs);
    block_acct_merge_done(blk_get_stats(blk), BLOCK_ACCT_WRITE, num_reqs - num_writes);

    atomic_store(&mw->pending, num_writes);    /* before the first can end */
    for (int i = 0; i < num_writes; i++) {
        blk_aio_pwritev(blk, reqs[i].sector << BDRV_SECTOR_BITS, reqs[i].qiov,
                        (BdrvRequestFlags)reqs[i].flags, one_done, mw);
    }
    return 0;
}
