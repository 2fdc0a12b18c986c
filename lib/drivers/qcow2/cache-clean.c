/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of tables that nobody asks for any more is given back: every
 * clean_interval seconds, what was not used since the last time.
 */
#include "drivers/qcow2/qcow2.h"

static void rearm(Qcow2State *s)
{
    timer_mod(s->clean_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / SCALE_MS +
              s->clean_interval * 1000);
}

/* Who holds the lock uses the tables right now; then it is not the time to clean. */
static void clean(void *opaque)
{
    BlockDriverState *bs = opaque;
    Qcow2State *s = bdrv_state(bs);

    if (qemu_co_mutex_trylock(&s->lock)) {
        qcow2_cache_clean(&s->l2_cache);
        qcow2_cache_clean(&s->refcount_cache);
        qemu_co_mutex_unlock(&s->lock);
    }
    rearm(s);
}

void qcow2_start_cleaning(BlockDriverState *bs, AioContext *ctx)
{
    Qcow2State *s = bdrv_state(bs);

    if (s->clean_interval > 0) {
        s->clean_timer = aio_timer_new(ctx, QEMU_CLOCK_VIRTUAL, SCALE_MS, clean, bs);
        rearm(s);
    }
}

void qcow2_stop_cleaning(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    AioContext *ctx = bdrv_get_aio_context(bs);

    /* The context's thread may be at it. */
    aio_context_acquire(ctx);
    timer_free(s->clean_timer);
    s->clean_timer = NULL;
    aio_context_release(ctx);
}
