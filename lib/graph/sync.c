/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to a node from outside a coroutine (rule R4): a coroutine in the
 * calling thread's context does them, and the caller polls until it is done.
 * Inside a coroutine they run in place.
 */
#include "graph/graph-int.h"

#include <blkbackend/image.h>

typedef struct SyncCall SyncCall;
typedef int64_t coroutine_fn SyncFunc(SyncCall *call);

struct SyncCall {
    SyncFunc *fn;
    BlockDriverState *bs;
    int64_t offset, bytes;
    QEMUIOVector *qiov;
    PreallocMode prealloc;
    int64_t *pnum, *map;
    BlockDriverState *base, **file;
    int *depth;
    Error **errp;
};

typedef struct SyncRun {
    BdrvSyncFunc *fn;
    void *opaque;
    int64_t ret;
    bool done;
} SyncRun;

static void coroutine_fn run_entry(void *opaque)
{
    SyncRun *r = opaque;

    r->ret = r->fn(r->opaque);
    r->done = true;
}

int64_t bdrv_run_sync(BdrvSyncFunc *fn, void *opaque)
{
    SyncRun r = { .fn = fn, .opaque = opaque };

    if (qemu_in_coroutine()) {
        return fn(opaque);
    }
    qemu_coroutine_enter(qemu_coroutine_create(run_entry), &r);
    while (!r.done) {
        aio_poll(qemu_get_current_aio_context(), true);
    }
    return r.ret;
}

static int64_t coroutine_fn do_call(void *opaque)
{
    SyncCall *call = opaque;

    return call->fn(call);
}

static int64_t run(SyncCall *call)
{
    return bdrv_run_sync(do_call, call);
}

static int64_t coroutine_fn sync_read(SyncCall *call)
{
    return bdrv_co_preadv(call->bs, call->offset, call->bytes, call->qiov, 0);
}

static int64_t coroutine_fn sync_write(SyncCall *call)
{
    return bdrv_co_pwritev(call->bs, call->offset, call->bytes, call->qiov, 0);
}

static int64_t coroutine_fn sync_flush(SyncCall *call)
{
    return bdrv_co_flush(call->bs);
}

static int64_t coroutine_fn sync_getlength(SyncCall *call)
{
    return bdrv_co_getlength(call->bs);
}

static int64_t coroutine_fn sync_refresh_length(SyncCall *call)
{
    return bdrv_co_refresh_length(call->bs);
}

static int64_t coroutine_fn sync_truncate(SyncCall *call)
{
    return bdrv_co_truncate(call->bs, call->offset, call->prealloc, call->errp);
}

static int64_t coroutine_fn sync_block_status(SyncCall *call)
{
    return bdrv_co_block_status(call->bs, call->offset, call->bytes, call->pnum, call->map,
                                call->file);
}

static int64_t coroutine_fn sync_block_status_above(SyncCall *call)
{
    return bdrv_co_block_status_where(call->bs, call->base, call->offset, call->bytes, call->pnum,
                                      call->map, call->file, call->depth);
}

static int read_or_write(SyncFunc *fn, BlockDriverState *bs, int64_t offset, int64_t bytes,
                         void *buf)
{
    struct iovec iov = { .iov_base = buf, .iov_len = bytes > 0 ? bytes : 0 };
    QEMUIOVector qiov;
    SyncCall call = { .fn = fn, .bs = bs, .offset = offset, .bytes = bytes, .qiov = &qiov };

    qemu_iovec_init_external(&qiov, &iov, 1);
    return run(&call);
}

int bdrv_pread(BlockDriverState *bs, int64_t offset, int64_t bytes, void *buf)
{
    return read_or_write(sync_read, bs, offset, bytes, buf);
}

int bdrv_pwrite(BlockDriverState *bs, int64_t offset, int64_t bytes, const void *buf)
{
    return read_or_write(sync_write, bs, offset, bytes, (void *)buf);
}

int bdrv_pwrite_sync(BlockDriverState *bs, int64_t offset, int64_t bytes, const void *buf)
{
    int ret = bdrv_pwrite(bs, offset, bytes, buf);

    return ret < 0 ? ret : bdrv_flush(bs);
}

int bdrv_flush(BlockDriverState *bs)
{
    SyncCall call = { .fn = sync_flush, .bs = bs };

    return run(&call);
}

int64_t bdrv_getlength(BlockDriverState *bs)
{
    SyncCall call = { .fn = sync_getlength, .bs = bs };

    return run(&call);
}

int64_t bdrv_refresh_length(BlockDriverState *bs)
{
    SyncCall call = { .fn = sync_refresh_length, .bs = bs };

    return run(&call);
}

int bdrv_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc, Error **errp)
{
    SyncCall call = { .fn = sync_truncate, .bs = bs, .offset = offset, .prealloc = prealloc,
                      .errp = errp };

    return run(&call);
}

int bdrv_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes, int64_t *pnum,
                      int64_t *map, BlockDriverState **file)
{
    SyncCall call = { .fn = sync_block_status, .bs = bs, .offset = offset, .bytes = bytes,
                      .pnum = pnum, .map = map, .file = file };

    return run(&call);
}

int bdrv_block_status_above(BlockDriverState *bs, BlockDriverState *base, int64_t offset,
                            int64_t bytes, int64_t *pnum, int64_t *map, BlockDriverState **file,
                            int *depth)
{
    SyncCall call = { .fn = sync_block_status_above, .bs = bs, .base = base, .offset = offset,
                      .bytes = bytes, .pnum = pnum, .map = map, .file = file, .depth = depth };

    return run(&call);
}
