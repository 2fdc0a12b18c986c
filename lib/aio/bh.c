/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bottom halves: callbacks that run in the next round of a context's loop.
 *
 * Any thread pushes onto a lock-free stack; the loop takes the whole stack,
 * turns it round and runs it in order of scheduling.  A BH is on the stack at
 * most once (flag PENDING).  A nested aio_poll() goes on with what an outer
 * round has not run yet (slices).
 */
#include <stdlib.h>

#include "aio/aio-int.h"

enum {
    BH_PENDING   = 1,   /* on the stack or in a slice */
    BH_SCHEDULED = 2,   /* to be run */
    BH_DELETED   = 4,   /* to be freed */
    BH_ONESHOT   = 8,   /* freed after it has run */
};

struct QEMUBH {
    AioContext *ctx;
    QEMUBHFunc *cb;
    void *opaque;
    QEMUBH *next;
    atomic_uint flags;
};

static void bh_enqueue(QEMUBH *bh, unsigned new_flags)
{
    AioContext *ctx = bh->ctx, *held = aio_hold_for_notify(ctx);
    unsigned old = atomic_fetch_or(&bh->flags, BH_PENDING | new_flags);

    if (!(old & BH_PENDING)) {
        QEMUBH *head = atomic_load(&ctx->bh_list);

        do {
            bh->next = head;
        } while (!atomic_compare_exchange_weak(&ctx->bh_list, &head, bh));
    }
    /* bh may be gone by now: another thread may have run it. */
    aio_notify_held(held);
}

static QEMUBH *bh_new(AioContext *ctx, QEMUBHFunc *cb, void *opaque)
{
    QEMUBH *bh = calloc(1, sizeof(*bh));

    if (!bh) {
        abort();
    }
    bh->ctx = ctx;
    bh->cb = cb;
    bh->opaque = opaque;
    return bh;
}

QEMUBH *aio_bh_new(AioContext *ctx, QEMUBHFunc *cb, void *opaque)
{
    return bh_new(ctx, cb, opaque);
}

void aio_bh_schedule_oneshot(AioContext *ctx, QEMUBHFunc *cb, void *opaque)
{
    bh_enqueue(bh_new(ctx, cb, opaque), BH_SCHEDULED | BH_ONESHOT);
}

void qemu_bh_schedule(QEMUBH *bh)
{
    bh_enqueue(bh, BH_SCHEDULED);
}

void qemu_bh_cancel(QEMUBH *bh)
{
    atomic_fetch_and(&bh->flags, ~(unsigned)BH_SCHEDULED);
}

void qemu_bh_delete(QEMUBH *bh)
{
    bh_enqueue(bh, BH_DELETED);
}

bool aio_bh_pending(AioContext *ctx)
{
    BhSlice *slice;

    if (atomic_load(&ctx->bh_list)) {
        return true;
    }
    STAILQ_FOREACH(slice, &ctx->bh_slices, link) {
        if (slice->first) {
            return true;
        }
    }
    return false;
}

static QEMUBH *take_stack(AioContext *ctx)
{
    QEMUBH *bh = atomic_load(&ctx->bh_list) ? atomic_exchange(&ctx->bh_list, NULL) : NULL;
    QEMUBH *first = NULL;

    while (bh) {
        QEMUBH *next = bh->next;

        bh->next = first;
        first = bh;
        bh = next;
    }
    return first;
}

/* Takes bh off, runs it if it is still wanted; true if it ran. */
static bool bh_run(QEMUBH *bh)
{
    unsigned flags = atomic_fetch_and(&bh->flags, ~(unsigned)(BH_PENDING | BH_SCHEDULED));
    bool run = (flags & (BH_SCHEDULED | BH_DELETED)) == BH_SCHEDULED;

    if (run) {
        QEMUBHFunc *cb = bh->cb;
        void *opaque = bh->opaque;

        if (flags & BH_ONESHOT) {
            free(bh);
        }
        cb(opaque);
    } else if (flags & (BH_DELETED | BH_ONESHOT)) {
        free(bh);
    }
    return run;
}

bool aio_bh_dispatch(AioContext *ctx)
{
    BhSlice slice = { .first = take_stack(ctx) }, *s;
    bool progress = false;

    if (!slice.first && STAILQ_EMPTY(&ctx->bh_slices)) {
        return false;
    }
    STAILQ_INSERT_TAIL(&ctx->bh_slices, &slice, link);
    STAILQ_FOREACH(s, &ctx->bh_slices, link) {
        while (s->first) {
            QEMUBH *bh = s->first;

            s->first = bh->next;
            progress |= bh_run(bh);
        }
    }
    STAILQ_REMOVE(&ctx->bh_slices, &slice, BhSlice, link);
    return progress;
}

void aio_bh_cleanup(AioContext *ctx)
{
    QEMUBH *bh = take_stack(ctx);

    while (bh) {
        QEMUBH *next = bh->next;

        if (atomic_load(&bh->flags) & (BH_DELETED | BH_ONESHOT)) {
            free(bh);
        }
        bh = next;
    }
}
