/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What few users need: VM state, commit, copies from medium to medium, wiping
 * a medium.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/aio.h"

/* ---- VM state (§3.10): main thread, neither counted nor throttled ---- */

typedef struct VMStateJob {
    BlockDriverState *bs;
    QEMUIOVector *qiov;
    int64_t pos;
} VMStateJob;

static int64_t coroutine_fn do_save(void *opaque)
{
    VMStateJob *job = opaque;

    return bdrv_co_save_vmstate(job->bs, job->qiov, job->pos);
}

static int64_t coroutine_fn do_load(void *opaque)
{
    VMStateJob *job = opaque;

    return bdrv_co_load_vmstate(job->bs, job->qiov, job->pos);
}

static int run_vmstate(BlockBackend *blk, BdrvSyncFunc *fn, void *buf, int64_t pos, int size)
{
    struct iovec iov = { .iov_base = buf, .iov_len = size > 0 ? (size_t)size : 0 };
    QEMUIOVector qiov;
    VMStateJob job = { .bs = blk_root(blk), .qiov = &qiov, .pos = pos };
    int ret;

    if (!blk_is_available(blk)) {
        return -ENOMEDIUM;
    }
    if (pos < 0 || size < 0 || pos > INT64_MAX - size) {
        return -EINVAL;
    }
    qemu_iovec_init_external(&qiov, &iov, 1);
    blk_plug_suspend(blk);
    ret = (int)bdrv_run_sync(fn, &job);
    blk_plug_resume(blk);
    return ret < 0 ? ret : size;
}

int blk_save_vmstate(BlockBackend *blk, const uint8_t *buf, int64_t pos, int size)
{
    return run_vmstate(blk, do_save, (void *)buf, pos, size);
}

int blk_load_vmstate(BlockBackend *blk, uint8_t *buf, int64_t pos, int size)
{
    return run_vmstate(blk, do_load, buf, pos, size);
}

/* ---- commit (§3.11) ---- */

int blk_commit_all(void)
{
    BlockBackend *blk = NULL;
    int ret = 0;

    while (ret == 0 && (blk = blk_all_next(blk))) {
        AioContext *ctx = blk_get_aio_context(blk);

        aio_context_acquire(ctx);
        if (blk_is_inserted(blk) && bdrv_backing(blk_root(blk))) {
            ret = bdrv_commit(blk_root(blk));
        }
        aio_context_release(ctx);
    }
    return ret;
}

/* ---- copying from backend to backend ---- */

typedef struct CopySource {
    BlockBackend *blk;
    int64_t offset;
} CopySource;

/*
 * Counts r's source in too.  While that one's gate is closed, r must not stay
 * counted in where it is: who closed the gate may want to close ours next.
 */
static BlkShard *coroutine_fn source_begin(BlkRequest *r, BlockBackend *src)
{
    BlkShard *shard;

    while (!(shard = blk_request_try_begin(src))) {
        blk_dec_in_flight(r->shard);
        blk_dec_in_flight(blk_request_begin(src));      /* it was open for a moment */
        r->shard = blk_request_begin(r->blk);
    }
    return shard;
}

static bool same_bytes(const BlkRequest *r, const CopySource *source)
{
    return blk_root(source->blk) == blk_root(r->blk) && source->offset < r->offset + r->bytes &&
           r->offset < source->offset + r->bytes;
}

static int coroutine_fn copy_counted(BlkRequest *r, CopySource *source)
{
    BlkRequest read = { .blk = source->blk, .bytes = r->bytes };
    int ret = blk_check_request(source->blk, source->offset, r->bytes);

    if (ret == 0) {
        ret = blk_check_request(r->blk, r->offset, r->bytes);
    }
    if (ret == 0 && ((r->flags & ~BDRV_REQ_FUA) || (r->bytes > 0 && same_bytes(r, source)))) {
        ret = -EINVAL;
    }
    if (ret == 0) {
        ret = bdrv_check_writable(blk_root(r->blk));
    }
    if (ret < 0 || r->bytes == 0) {
        return ret;
    }
    ret = blk_throttle(&read, false);
    if (ret == 0) {
        ret = blk_throttle(r, true);
    }
    return ret < 0 ? ret : bdrv_co_copy_range(blk_root(source->blk), source->offset,
                                              blk_root(r->blk), r->offset, r->bytes, r->flags,
                                              NULL);
}

static int64_t coroutine_fn op_copy_range(BlkRequest *r)
{
    CopySource *source = r->arg;
    BlkShard *shard = source_begin(r, source->blk);
    int ret = copy_counted(r, source);

    blk_dec_in_flight(shard);
    return ret;
}

int coroutine_fn blk_co_copy_range(BlockBackend *blk_in, int64_t off_in, BlockBackend *blk_out,
                                   int64_t off_out, int64_t bytes, BdrvRequestFlags flags)
{
    CopySource source = { .blk = blk_in, .offset = off_in };

    return (int)blk_request(&(BlkRequest){ .blk = blk_out, .op = op_copy_range, .offset = off_out,
                                           .bytes = bytes, .flags = (int)flags, .arg = &source });
}

static int64_t coroutine_fn op_copy_range_and_free(BlkRequest *r)
{
    int64_t ret = op_copy_range(r);

    free(r->arg);
    return ret;
}

BlockAIOCB *blk_aio_copy_range(BlockBackend *blk_in, int64_t off_in, BlockBackend *blk_out,
                               int64_t off_out, int64_t bytes, BdrvRequestFlags flags,
                               BlockCompletionFunc *cb, void *opaque)
{
    CopySource *source = malloc(sizeof(*source));

    if (!source) {
        abort();
    }
    *source = (CopySource){ .blk = blk_in, .offset = off_in };
    return blk_aio_submit(&(BlkRequest){ .blk = blk_out, .op = op_copy_range_and_free,
                                         .offset = off_out, .bytes = bytes, .flags = (int)flags,
                                         .arg = source }, cb, opaque);
}

/* ---- a medium of zeroes ---- */

/* Zeroes [offset, offset + *n), unless it reads so already. */
static int make_piece_zero(BlockBackend *blk, int64_t offset, int64_t bytes,
                           BdrvRequestFlags flags, int64_t *n)
{
    int ret = blk_block_status(blk, offset, bytes, n);

    if (ret < 0) {
        return ret;
    }
    return ret & BDRV_BLOCK_ZERO ? 0 : blk_pwrite_zeroes(blk, offset, *n, flags);
}

int blk_make_zero(BlockBackend *blk, BdrvRequestFlags flags)
{
    int64_t offset, n, length = blk_getlength(blk);
    int ret = length < 0 ? (int)length : 0;

    for (offset = 0; ret == 0 && offset < length; offset += n) {
        int64_t left = length - offset;

        ret = make_piece_zero(blk, offset,
                              left < BDRV_REQUEST_MAX_BYTES ? left : BDRV_REQUEST_MAX_BYTES,
                              flags, &n);
    }
    return ret;
}
