/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coroutines: functions that wait without blocking their thread.
 *
 * A coroutine belongs to the AioContext it last ran in; wake-ups bring it back
 * there, whichever thread sends them.  coroutine_fn marks functions that may
 * only be called inside one.
 *
 * Threads: create in any; enter only in the thread that runs the coroutine's
 * context; the locks work across threads.  Nothing here fails.
 */
#ifndef BLKBACKEND_COROUTINE_H
#define BLKBACKEND_COROUTINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#define coroutine_fn

typedef struct Coroutine Coroutine;
typedef void coroutine_fn CoroutineEntry(void *opaque);

/* A coroutine frees itself when entry returns; one that was made must be entered. */
Coroutine *qemu_coroutine_create(CoroutineEntry *entry);
/* Runs co (a new one gets `opaque`) until it yields or ends; then returns.
 * Only in the thread of its AioContext; from another use aio_co_wake(). */
void qemu_coroutine_enter(Coroutine *co, void *opaque);
void coroutine_fn qemu_coroutine_yield(void);   /* until somebody enters or wakes it */
Coroutine *qemu_coroutine_self(void);   /* outside a coroutine: NULL */
bool qemu_in_coroutine(void);

/*
 * Locks that suspend a coroutine instead of its thread.  They work across
 * threads: each waiter wakes in its own AioContext.  FIFO-fair.  All are
 * zero-initialised or made by their init function.
 */
typedef STAILQ_HEAD(CoWaiterList, CoWaiter) CoWaiterList;
typedef struct CoGuard { int locked; } CoGuard;   /* private to colock.c, accessed atomically */

typedef struct CoMutex {
    CoGuard guard;
    bool locked;
    CoWaiterList waiters;
} CoMutex;

void qemu_co_mutex_init(CoMutex *mutex);   /* not recursive */
void coroutine_fn qemu_co_mutex_lock(CoMutex *mutex);
bool qemu_co_mutex_trylock(CoMutex *mutex);  /* any thread, in a coroutine or not; never waits */
void coroutine_fn qemu_co_mutex_unlock(CoMutex *mutex);

/*
 * A queue of waiting coroutines.  qemu_co_queue_wait() suits users that run in
 * one context only; where several threads meet, hold a CoMutex and use
 * qemu_co_queue_wait_locked(), which enqueues, unlocks, sleeps and locks again.
 */
typedef struct CoQueue {
    CoGuard guard;
    CoWaiterList waiters;
} CoQueue;

void qemu_co_queue_init(CoQueue *queue);
void coroutine_fn qemu_co_queue_wait(CoQueue *queue);
void coroutine_fn qemu_co_queue_wait_locked(CoQueue *queue, CoMutex *mutex);
bool qemu_co_queue_next(CoQueue *queue);         /* wakes the first; false if none waited */
void qemu_co_queue_restart_all(CoQueue *queue);  /* wakes all that wait now */
bool qemu_co_queue_empty(CoQueue *queue);

typedef struct CoRwlock {
    CoGuard guard;
    int readers;          /* active; -1: a writer holds it */
    CoWaiterList waiters; /* readers and writers in order of arrival */
} CoRwlock;

/* Many readers or one writer; a reader waits behind a writer that came before it. */
void qemu_co_rwlock_init(CoRwlock *lock);
void coroutine_fn qemu_co_rwlock_rdlock(CoRwlock *lock);
void coroutine_fn qemu_co_rwlock_wrlock(CoRwlock *lock);
void coroutine_fn qemu_co_rwlock_unlock(CoRwlock *lock);

#ifdef __cplusplus
}
#endif
#endif
