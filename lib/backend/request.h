/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the doors (doors.c, aio.c) and the request path (request.c). */
#ifndef BLKBACKEND_REQUEST_H
#define BLKBACKEND_REQUEST_H

#include <limits.h>

#include "backend/backend.h"

typedef struct BlkRequest BlkRequest;
typedef int64_t coroutine_fn BlkOp(BlkRequest *r);

struct BlkRequest {
    BlockBackend *blk;
    BlkShard *shard;        /* where it is counted in, while it is */
    BlkOp *op;
    int64_t offset, bytes;
    QEMUIOVector *qiov;
    int flags;              /* BdrvRequestFlags */
    bool unthrottled;       /* neither waits for I/O limits nor counts against them */
    unsigned long ioctl;
    void *arg;              /* int64_t *pnum, BlockMapping *, ioctl's buffer */
    BlockDriverState *base; /* where a walk through the chain ends; NULL: at its end */
};

/* Each does its checks and the request; the caller has counted it in. */
BlkOp blk_op_read, blk_op_map_read, blk_op_write, blk_op_write_compressed, blk_op_write_zeroes,
      blk_op_pwrite_zeroes, blk_op_discard, blk_op_flush, blk_op_ioctl, blk_op_getlength,
      blk_op_geometry, blk_op_block_status, blk_op_is_allocated, blk_op_truncate;

/*
 * R6.2 and R7.4: once a request has passed its checks, before the node sees it.  0, or -ECANCELED:
 * blk_throttle_cancel() ended it.  Relaxed: who sets the first limits does not care on which side
 * of them a request in flight is.
 */
static inline int coroutine_fn blk_throttle(BlkRequest *r, bool is_write)
{
    BlockBackend *blk = r->blk;

    if (__builtin_expect(atomic_load_explicit(&blk->throttle.group, memory_order_relaxed) != NULL,
                         false) && !r->unthrottled) {
        return throttle_group_co_io_limits_intercept(&blk->throttle, (uint64_t)r->bytes, is_write);
    }
    return 0;
}

/* R3: sectors to bytes.  An impossible range becomes one that R2 answers with -EIO, whatever
 * the medium: bytes -1. */
static inline int64_t blk_sector_bytes(int64_t sector_num, int nb_sectors)
{
    bool ok = sector_num >= 0 && sector_num <= INT64_MAX / (int64_t)BDRV_SECTOR_SIZE &&
              nb_sectors >= 0 && nb_sectors <= INT_MAX / (int)BDRV_SECTOR_SIZE;

    return ok ? (int64_t)nb_sectors << BDRV_SECTOR_BITS : -1;
}

static inline int64_t blk_sector_offset(int64_t sector_num)
{
    return (int64_t)((uint64_t)sector_num << BDRV_SECTOR_BITS);
}

/* The initialisers of a BlkRequest's range. */
#define SECTOR_RANGE(sector_num, nb_sectors)                \
    .offset = blk_sector_offset(sector_num), .bytes = blk_sector_bytes(sector_num, nb_sectors)

/* R2, now, in any thread, without the gate. */
int blk_check_range(BlockBackend *blk, int64_t offset, int64_t bytes);
/* The same for a request that is counted in. */
int blk_check_request(BlockBackend *blk, int64_t offset, int64_t bytes);
bool blk_request_available(BlockBackend *blk);    /* R1; counted in, or in the main thread */

/* Counts in (waiting at the gate), runs r->op, counts out.  Its result. */
int64_t coroutine_fn blk_request(BlkRequest *r);
/* doors.c: the same from anywhere (R4). */
int64_t blk_request_sync(BlkRequest *r);

/* The parts of it, for a request that is counted from its submission to its callback. */
BlkShard *blk_request_try_begin(BlockBackend *blk);           /* NULL: the gate is closed */
BlkShard *coroutine_fn blk_request_begin(BlockBackend *blk);
/* ... and blk_dec_in_flight() */

/* aio.c: callbacks of blk's requests that this thread is inside of; a drain from
 * such a callback must not wait for it. */
int blk_callbacks_on_this_stack(BlockBackend *blk);

#endif
