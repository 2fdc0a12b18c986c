/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drained sections, and waiting for other threads' requests.
 *
 * Requests are counted where they enter: in the BlockBackend.  So draining a
 * node means telling all that is above it, up to the backends, to let nothing
 * new in, and waiting until they are idle.
 */
#include "graph/graph-int.h"

#include "aio/aio-int.h"

/* ---- waiting ---- */

/* A thread in bdrv_wait_while(), on its stack. */
typedef struct Waiter {
    AioContext *own, *home;   /* it may be asleep in either */
    LIST_ENTRY(Waiter) link;
} Waiter;

static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, Waiter) waiters = LIST_HEAD_INITIALIZER(waiters);
static atomic_int n_waiters;

void bdrv_wait_kick(void)
{
    Waiter *w;

    /* A waiter counts itself before it looks at its condition, and the caller has changed
     * something before he looks at this count: one of the two sees the other. */
    if (atomic_load(&n_waiters) == 0) {
        return;
    }
    pthread_mutex_lock(&waiters_lock);
    LIST_FOREACH(w, &waiters, link) {
        aio_notify(w->own);
        if (w->home != w->own) {
            aio_notify(w->home);
        }
    }
    pthread_mutex_unlock(&waiters_lock);
}

static void do_nothing(void *opaque)
{
    (void)opaque;
}

/*
 * Nobody else runs home now, so we do, beside our own loop.  There is no way
 * to sleep in two loops: we sleep in home, and look into our own every
 * millisecond.
 */
static void poll_both(AioContext *home, AioContext *own, bool (*cond)(void *), void *opaque)
{
    bool progress;

    aio_context_acquire(home);
    progress = aio_poll(home, false);
    progress |= aio_poll(own, false);
    if (!progress && cond(opaque)) {
        QEMUTimer *look_up = aio_timer_new(home, QEMU_CLOCK_REALTIME, SCALE_NS, do_nothing, NULL);

        timer_mod_ns(look_up, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + SCALE_MS);
        aio_poll(home, true);
        timer_free(look_up);
    }
    aio_context_release(home);
}

void bdrv_wait_while(AioContext *ctx, bool (*cond)(void *opaque), void *opaque)
{
    AioContext *own = qemu_get_current_aio_context();
    Waiter waiter = { .own = own, .home = ctx };

    pthread_mutex_lock(&waiters_lock);
    LIST_INSERT_HEAD(&waiters, &waiter, link);
    pthread_mutex_unlock(&waiters_lock);
    atomic_fetch_add(&n_waiters, 1);
    while (cond(opaque)) {
        if (ctx == own || (aio_context_has_runner(ctx) && !aio_context_held_by_me(ctx))) {
            aio_poll(own, true);
        } else {
            poll_both(ctx, own, cond, opaque);
        }
    }
    atomic_fetch_sub(&n_waiters, 1);
    pthread_mutex_lock(&waiters_lock);
    LIST_REMOVE(&waiter, link);
    pthread_mutex_unlock(&waiters_lock);
}

/* ---- drained sections ---- */

static void quiesce_begin(void *opaque)
{
    BlockDriverState *bs = opaque;
    BdrvParent *parent;

    bs->quiesce++;
    LIST_FOREACH(parent, &bs->parents, link) {
        parent->ops->drained_begin(parent->opaque);
    }
}

static void quiesce_end(void *opaque)
{
    BlockDriverState *bs = opaque;
    BdrvParent *parent;

    BDRV_PRECONDITION(bs->quiesce > 0, "more drained sections ended than begun");
    LIST_FOREACH(parent, &bs->parents, link) {
        parent->ops->drained_end(parent->opaque);
    }
    bs->quiesce--;
}

static bool parents_busy(void *opaque)
{
    BlockDriverState *bs = opaque;
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops->drained_poll(parent->opaque)) {
            return true;
        }
    }
    return false;
}

static const char *node_name(void *opaque)
{
    return bdrv_get_node_name(opaque);
}

const BdrvParentOps bdrv_node_parent_ops = {
    .drained_begin = quiesce_begin,
    .drained_poll = parents_busy,
    .drained_end = quiesce_end,
    .name = node_name,
};

void bdrv_drained_begin(BlockDriverState *bs)
{
    bs->external_off++;
    aio_disable_external(bs->ctx);
    quiesce_begin(bs);
    bdrv_wait_while(bs->ctx, parents_busy, bs);
}

void bdrv_drained_end(BlockDriverState *bs)
{
    quiesce_end(bs);
    BDRV_PRECONDITION(bs->external_off > 0, "more drained sections ended than begun");
    bs->external_off--;
    aio_enable_external(bs->ctx);
}
