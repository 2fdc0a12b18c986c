/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The asynchronous form of a request (R5): a coroutine in the backend's
 * context, and a callback from a bottom half there: so never before the
 * submitting call has returned, and never inside a coroutine.
 *
 * The request counts as in flight from submission until its callback has
 * returned.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/aio.h"

typedef struct BlkAio {
    BlockAIOCB common;
    BlkRequest req;
    _Atomic(AioContext *) ctx;          /* a parked one's may change */
    TAILQ_ENTRY(BlkAio) parked_link;
    int ret;
} BlkAio;

/* ---- callbacks on the stack ---- */

typedef struct RunningCallback {
    BlockBackend *blk;
    struct RunningCallback *outer;
} RunningCallback;

static __thread RunningCallback *running;    /* never touched in a coroutine */

int blk_callbacks_on_this_stack(BlockBackend *blk)
{
    int n = 0;

    if (!qemu_in_coroutine()) {
        for (RunningCallback *c = running; c; c = c->outer) {
            n += c->blk == blk;
        }
    }
    return n;
}

static void run_callback(BlockBackend *blk, BlockAIOCB *acb, int ret)
{
    RunningCallback me = { .blk = blk, .outer = running };

    running = &me;
    acb->cb(acb->opaque, ret);
    running = me.outer;
}

/* ---- AIOCBs ---- */

void *qemu_aio_get(const AIOCBInfo *info, BlockDriverState *bs, BlockCompletionFunc *cb,
                   void *opaque)
{
    BlockAIOCB *acb = malloc(info->aiocb_size);

    if (!acb) {
        abort();
    }
    acb->aiocb_info = info;
    acb->bs = bs;
    acb->cb = cb;
    acb->opaque = opaque;
    acb->refcnt = 1;
    return acb;
}

void qemu_aio_ref(void *p)
{
    BlockAIOCB *acb = p;

    __atomic_fetch_add(&acb->refcnt, 1, __ATOMIC_RELAXED);
}

void qemu_aio_unref(void *p)
{
    BlockAIOCB *acb = p;

    if (__atomic_sub_fetch(&acb->refcnt, 1, __ATOMIC_ACQ_REL) == 0) {
        free(acb);
    }
    bdrv_wait_kick();       /* blk_aio_cancel() waits for the count to fall */
}

void *blk_aio_get(const AIOCBInfo *aiocb_info, BlockBackend *blk, BlockCompletionFunc *cb,
                  void *opaque)
{
    return qemu_aio_get(aiocb_info, blk_bs(blk), cb, opaque);
}

static AioContext *blk_aio_context(BlockAIOCB *acb)
{
    return ((BlkAio *)acb)->ctx;
}

static const AIOCBInfo blk_aiocb_info = {
    .get_aio_context = blk_aio_context,
    .aiocb_size = sizeof(BlkAio),
};

/* ---- submission and completion ---- */

static void complete_bh(void *opaque)
{
    BlkAio *a = opaque;
    BlockBackend *blk = a->req.blk;
    bool dead;

    run_callback(blk, &a->common, a->ret);
    /* Dead by our callback's own doing, or by nobody's as long as we are counted in; not
     * counted any more, we may look at blk only if it waits for us to free it. */
    dead = blk->dead;
    blk_dec_in_flight(a->req.shard);
    if (dead) {
        blk_free_if_dead(blk);
    }
    qemu_aio_unref(a);
}

static void coroutine_fn aio_entry(void *opaque)
{
    BlkAio *a = opaque;

    a->ret = (int)a->req.op(&a->req);
    aio_bh_schedule_oneshot(a->ctx, complete_bh, a);
}

static BlkAio *aio_new(const BlkRequest *req, BlockCompletionFunc *cb, void *opaque)
{
    BlkAio *a = blk_aio_get(&blk_aiocb_info, req->blk, cb, opaque);

    a->req = *req;
    atomic_init(&a->ctx, blk_get_aio_context(req->blk));
    a->ret = 0;
    return a;
}

/* False: the gate has opened meanwhile. */
static bool park(BlkAio *a)
{
    BlockBackend *blk = a->req.blk;
    bool closed;

    pthread_mutex_lock(&blk->parked_lock);
    closed = atomic_load(&blk->gate) > 0;    /* else whoever opened it has emptied the list */
    if (closed) {
        TAILQ_INSERT_TAIL(&blk->parked, a, parked_link);
    }
    pthread_mutex_unlock(&blk->parked_lock);
    return closed;
}

/*
 * A request that finds the gate closed does not wait in a context: when the
 * gate opens, that may not be the backend's any more.
 */
static void start(BlkAio *a)
{
    BlockBackend *blk = a->req.blk;

    while (!(a->req.shard = blk_request_try_begin(blk))) {
        if (park(a)) {
            return;
        }
    }
    /* Counted in: the context stays. */
    atomic_store(&a->ctx, blk_get_aio_context(blk));
    aio_co_start(a->ctx, qemu_coroutine_create(aio_entry), a);
}

void blk_aio_unpark(BlockBackend *blk)
{
    TAILQ_HEAD(, BlkAio) all = TAILQ_HEAD_INITIALIZER(all);
    BlkAio *a;

    pthread_mutex_lock(&blk->parked_lock);
    TAILQ_CONCAT(&all, &blk->parked, parked_link);
    pthread_mutex_unlock(&blk->parked_lock);
    while ((a = TAILQ_FIRST(&all))) {
        TAILQ_REMOVE(&all, a, parked_link);
        start(a);
    }
}

BlockAIOCB *blk_aio_submit(const BlkRequest *req, BlockCompletionFunc *cb, void *opaque)
{
    BlkAio *a = aio_new(req, cb, opaque);

    start(a);
    return &a->common;
}

static int64_t coroutine_fn op_abort(BlkRequest *r)
{
    return r->flags;
}

BlockAIOCB *blk_abort_aio_request(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque, int ret)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = op_abort, .flags = ret }, cb, opaque);
}

/* ---- cancellation: nothing that was submitted can be withdrawn, so wait ---- */

void blk_aio_cancel_async(BlockAIOCB *acb)
{
    if (acb->aiocb_info->cancel_async) {
        acb->aiocb_info->cancel_async(acb);
    }
}

static bool not_finished(void *opaque)
{
    BlockAIOCB *acb = opaque;

    return __atomic_load_n(&acb->refcnt, __ATOMIC_ACQUIRE) > 1;
}

void blk_aio_cancel(BlockAIOCB *acb)
{
    AioContext *ctx = acb->aiocb_info->get_aio_context
                      ? acb->aiocb_info->get_aio_context(acb)
                      : bdrv_get_aio_context(acb->bs);

    qemu_aio_ref(acb);
    blk_aio_cancel_async(acb);
    bdrv_wait_while(ctx, not_finished, acb);
    qemu_aio_unref(acb);
}
