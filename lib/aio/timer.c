/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Timers of a context: for each clock a list sorted by deadline.  A list and
 * not a heap: most timers are time-outs of one length, which go in at the
 * tail.  Their own mutex lets any thread set and stop a timer.
 */
#include <stdlib.h>

#include "aio/aio-int.h"

struct QEMUTimer {
    AioContext *ctx;
    QEMUClockType type;
    int scale;
    bool armed;
    int64_t expire_ns;
    QEMUTimerCB *cb;
    void *opaque;
    TAILQ_ENTRY(QEMUTimer) link;
};

QEMUTimer *aio_timer_new(AioContext *ctx, QEMUClockType type, int scale,
                         QEMUTimerCB *cb, void *opaque)
{
    QEMUTimer *timer = calloc(1, sizeof(*timer));

    if (!timer) {
        abort();
    }
    timer->ctx = ctx;
    timer->type = type;
    timer->scale = scale;
    timer->cb = cb;
    timer->opaque = opaque;
    return timer;
}

static void timer_unlink(QEMUTimer *timer)
{
    if (timer->armed) {
        TAILQ_REMOVE(&timer->ctx->timers[timer->type], timer, link);
        timer->armed = false;
        atomic_fetch_sub(&timer->ctx->n_timers, 1);
    }
}

static void timer_link(QEMUTimer *timer)
{
    QEMUTimerList *list = &timer->ctx->timers[timer->type];
    QEMUTimer *before = TAILQ_LAST(list, QEMUTimerList);

    while (before && before->expire_ns > timer->expire_ns) {
        before = TAILQ_PREV(before, QEMUTimerList, link);
    }
    if (before) {
        TAILQ_INSERT_AFTER(list, before, timer, link);
    } else {
        TAILQ_INSERT_HEAD(list, timer, link);
    }
    timer->armed = true;
    atomic_fetch_add(&timer->ctx->n_timers, 1);
}

void timer_mod_ns(QEMUTimer *timer, int64_t expire_time)
{
    AioContext *ctx = timer->ctx;

    pthread_mutex_lock(&ctx->timer_lock);
    timer_unlink(timer);
    timer->expire_ns = expire_time < 0 ? 0 : expire_time;
    timer_link(timer);
    pthread_mutex_unlock(&ctx->timer_lock);
    aio_notify(ctx);     /* a sleeping loop has to look at its deadline again */
}

void timer_mod(QEMUTimer *timer, int64_t expire_time)
{
    int64_t ns;

    if (__builtin_mul_overflow(expire_time, (int64_t)timer->scale, &ns)) {
        ns = INT64_MAX;
    }
    timer_mod_ns(timer, ns);
}

void timer_del(QEMUTimer *timer)
{
    pthread_mutex_lock(&timer->ctx->timer_lock);
    timer_unlink(timer);
    pthread_mutex_unlock(&timer->ctx->timer_lock);
}

void timer_free(QEMUTimer *timer)
{
    if (timer) {
        timer_del(timer);
        free(timer);
    }
}

bool timer_pending(QEMUTimer *timer)
{
    bool armed;

    pthread_mutex_lock(&timer->ctx->timer_lock);
    armed = timer->armed;
    pthread_mutex_unlock(&timer->ctx->timer_lock);
    return armed;
}

int64_t aio_timers_deadline_ns(AioContext *ctx)
{
    int64_t deadline = -1;

    if (atomic_load_explicit(&ctx->n_timers, memory_order_acquire) == 0) {
        return -1;
    }
    pthread_mutex_lock(&ctx->timer_lock);
    for (int type = 0; type < AIO_CLOCKS; type++) {
        QEMUTimer *timer = TAILQ_FIRST(&ctx->timers[type]);

        if (timer) {
            int64_t left = timer->expire_ns - qemu_clock_get_ns(timer->type);

            left = left < 0 ? 0 : left;
            deadline = deadline < 0 || left < deadline ? left : deadline;
        }
    }
    pthread_mutex_unlock(&ctx->timer_lock);
    return deadline;
}

/* Disarms one expired timer and says what it wants called; false if none is due. */
static bool pop_expired(AioContext *ctx, QEMUTimerCB **cb, void **opaque)
{
    bool found = false;

    pthread_mutex_lock(&ctx->timer_lock);
    for (int type = 0; type < AIO_CLOCKS && !found; type++) {
        QEMUTimer *timer = TAILQ_FIRST(&ctx->timers[type]);

        if (timer && timer->expire_ns <= qemu_clock_get_ns(timer->type)) {
            timer_unlink(timer);
            *cb = timer->cb;
            *opaque = timer->opaque;
            found = true;
        }
    }
    pthread_mutex_unlock(&ctx->timer_lock);
    return found;
}

bool aio_timers_dispatch(AioContext *ctx)
{
    /* As many as are armed now: a callback that rearms itself at once must not hold the loop. */
    int budget = atomic_load_explicit(&ctx->n_timers, memory_order_acquire);
    bool progress = false;
    QEMUTimerCB *cb;
    void *opaque;

    while (budget-- > 0 && pop_expired(ctx, &cb, &opaque)) {
        cb(opaque);
        progress = true;
    }
    return progress;
}
