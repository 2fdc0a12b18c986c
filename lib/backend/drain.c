/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting until requests have ended (§3.8), and flushing every backend. */
#include "backend/request.h"

static bool busy(void *opaque)
{
    return blk_in_flight(opaque);
}

typedef struct DrainWaiter {
    BlockBackend *blk;
    Coroutine *co;
} DrainWaiter;

static void drain_bh(void *opaque)
{
    DrainWaiter *waiter = opaque;

    blk_drain(waiter->blk);
    aio_co_wake(waiter->co);
}

void blk_drain(BlockBackend *blk)
{
    if (qemu_in_coroutine()) {
        /* Polling in a coroutine could wait for the coroutine itself [D17]. */
        DrainWaiter waiter = { .blk = blk, .co = qemu_coroutine_self() };

        aio_bh_schedule_oneshot(qemu_get_current_aio_context(), drain_bh, &waiter);
        qemu_coroutine_yield();
    } else {
        blk_plug_suspend(blk);
        blk_throttle_drain_begin(blk);
        bdrv_wait_while(blk_get_aio_context(blk), busy, blk);
        blk_throttle_drain_end(blk);
        blk_plug_resume(blk);
    }
}

static BlockBackend *first_busy(void)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_all_next(blk)) && !blk_in_flight(blk)) {
        continue;
    }
    return blk;
}

/* From the start again each time: a completion on one backend may submit to another. */
void blk_drain_all(void)
{
    BlockBackend *blk;

    BLK_PRECONDITION(!qemu_in_coroutine(), "called in a coroutine");
    while ((blk = first_busy())) {
        blk_drain(blk);
    }
}

int blk_flush_all(void)
{
    BlockBackend *blk = NULL;
    int result = 0;

    while ((blk = blk_all_next(blk))) {
        BlockDriverState *bs = blk_root(blk);
        int ret;

        blk_plug_suspend(blk);
        ret = bs ? bdrv_flush(bs) : 0;
        blk_plug_resume(blk);
        if (result == 0) {
            result = ret;
        }
    }
    return result;
}
