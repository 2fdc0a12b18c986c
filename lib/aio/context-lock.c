/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock of an AioContext: recursive and FIFO-fair by tickets.  The loop
 * holds it except while it sleeps, so a thread that finds it taken wakes the
 * loop and queues up.
 */
#include "aio/aio-int.h"

void aio_lock_init(AioContext *ctx)
{
    pthread_mutex_init(&ctx->lock.mutex, NULL);
    pthread_cond_init(&ctx->lock.cond, NULL);
}

void aio_lock_destroy(AioContext *ctx)
{
    pthread_cond_destroy(&ctx->lock.cond);
    pthread_mutex_destroy(&ctx->lock.mutex);
}

static bool held_by_me(const AioLock *lock)
{
    return lock->depth > 0 && pthread_equal(lock->owner, pthread_self());
}

void aio_context_acquire(AioContext *ctx)
{
    AioLock *lock = &ctx->lock;

    pthread_mutex_lock(&lock->mutex);
    if (!held_by_me(lock)) {
        unsigned ticket = lock->next_ticket++;

        while (ticket != lock->serving) {
            aio_notify(ctx);
            pthread_cond_wait(&lock->cond, &lock->mutex);
        }
        lock->owner = pthread_self();
    }
    lock->depth++;
    pthread_mutex_unlock(&lock->mutex);
}

void aio_context_release(AioContext *ctx)
{
    AioLock *lock = &ctx->lock;

    pthread_mutex_lock(&lock->mutex);
    if (--lock->depth == 0) {
        lock->serving++;
        if (lock->serving != lock->next_ticket) {
            pthread_cond_broadcast(&lock->cond);
        }
    }
    pthread_mutex_unlock(&lock->mutex);
}

bool aio_context_held_by_me(AioContext *ctx)
{
    bool held;

    pthread_mutex_lock(&ctx->lock.mutex);
    held = held_by_me(&ctx->lock);
    pthread_mutex_unlock(&ctx->lock.mutex);
    return held;
}

/*
 * A thread that holds the lock beyond aio_poll()'s own share keeps it while it
 * sleeps: it acquired the context to keep the others out.
 */
bool aio_lock_pause(AioContext *ctx)
{
    if (ctx->lock.depth != 1) {     /* only the owner changes depth: no mutex needed */
        return false;
    }
    aio_context_release(ctx);
    return true;
}

void aio_lock_resume(AioContext *ctx)
{
    aio_context_acquire(ctx);
}
