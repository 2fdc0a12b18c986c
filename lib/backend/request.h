/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the doors (doors.c, aio.c) and the request path (request.c). */
#ifndef BLKBACKEND_REQUEST_H
#define BLKBACKEND_REQUEST_H

#include "backend/backend.h"

typedef struct BlkRequest BlkRequest;
typedef int64_t coroutine_fn BlkOp(BlkRequest *r);

struct BlkRequest {
    BlockBackend *blk;
    BlkOp *op;
    int64_t offset, bytes;
    QEMUIOVector *qiov;
    int flags;              /* BdrvRequestFlags */
    unsigned long ioctl;
    void *arg;              /* int64_t *pnum, BlockMapping *, ioctl's buffer */
};

/* Each does its checks and the request; the caller has counted it in. */
BlkOp blk_op_read, blk_op_map_read, blk_op_write, blk_op_write_zeroes, blk_op_discard,
      blk_op_flush, blk_op_ioctl, blk_op_getlength, blk_op_geometry, blk_op_block_status,
      blk_op_truncate;

/* Counts in (waiting at the gate), runs r->op, counts out.  Its result. */
int64_t coroutine_fn blk_request(BlkRequest *r);

/* The parts of it, for a request that is counted from its submission to its callback. */
BlkShard *blk_request_try_begin(BlockBackend *blk);           /* NULL: the gate is closed */
BlkShard *coroutine_fn blk_request_begin(BlockBackend *blk);
/* ... and blk_dec_in_flight() */

/* aio.c: callbacks of blk's requests that this thread is inside of; a drain from
 * such a callback must not wait for it. */
int blk_callbacks_on_this_stack(BlockBackend *blk);

#endif
