/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks and queues that suspend a coroutine instead of its thread.
 *
 * Each lock's state is small and kept under a spinlock (the guard) for a few
 * instructions at a time.  Whoever releases gives the lock to the first waiter
 * before it wakes it: nobody can slip in between, and who was woken need not
 * try again.
 *
 * A waiter lives on its coroutine's stack and is gone once that is woken; so its
 * fields are read before.  Waking may come before the waiter has got as far as
 * its yield: from another thread the coroutine is only scheduled in its own
 * context, which cannot run it before it yields.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/aio.h>
#include <blkbackend/coroutine.h>

#define WRITER (-1)                /* CoRwlock.readers: held for writing */
#define SPINS_BEFORE_YIELD 64      /* then the holder has probably lost its processor */

typedef struct CoWaiter {
    Coroutine *co;
    bool writer;
    STAILQ_ENTRY(CoWaiter) next;
} CoWaiter;

static void __attribute__((noreturn, cold)) die(const char *what)
{
    blkbackend_log("%s", what);
    abort();
}

/* ---- the guard ---- */

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

static __attribute__((noinline)) void guard_wait(CoGuard *guard)
{
    unsigned spins = 0;

    do {
        while (__atomic_load_n(&guard->locked, __ATOMIC_RELAXED)) {
            if (++spins < SPINS_BEFORE_YIELD) {
                cpu_relax();
            } else {
                sched_yield();
            }
        }
    } while (__atomic_exchange_n(&guard->locked, 1, __ATOMIC_ACQUIRE));
}

static inline void guard_lock(CoGuard *guard)
{
    if (__atomic_exchange_n(&guard->locked, 1, __ATOMIC_ACQUIRE)) {
        guard_wait(guard);
    }
}

static inline void guard_unlock(CoGuard *guard)
{
    __atomic_store_n(&guard->locked, 0, __ATOMIC_RELEASE);
}

/* ---- waiters; the list belongs to the guard's holder ---- */

static void waiters_push(CoWaiterList *list, CoWaiter *waiter)
{
    if (!list->stqh_last) {        /* a lock that was zeroed, not initialised */
        STAILQ_INIT(list);
    }
    STAILQ_INSERT_TAIL(list, waiter, next);
}

static CoWaiter *waiters_pop(CoWaiterList *list)
{
    CoWaiter *waiter = STAILQ_FIRST(list);

    if (waiter) {
        STAILQ_REMOVE_HEAD(list, next);
    }
    return waiter;
}

/* Wakes a list that is the caller's alone. */
static void wake_all(CoWaiterList *list)
{
    CoWaiter *waiter;

    while ((waiter = waiters_pop(list)) != NULL) {
        aio_co_wake(waiter->co);
    }
}

/* ---- CoMutex ---- */

void qemu_co_mutex_init(CoMutex *mutex)
{
    memset(mutex, 0, sizeof(*mutex));
    STAILQ_INIT(&mutex->waiters);
}

static __attribute__((noinline)) void coroutine_fn mutex_wait(CoMutex *mutex)
{
    CoWaiter waiter = { .co = qemu_coroutine_self() };

    if (!waiter.co) {
        die("a coroutine mutex was locked outside of a coroutine");
    }
    waiters_push(&mutex->waiters, &waiter);
    guard_unlock(&mutex->guard);
    qemu_coroutine_yield();
}

void coroutine_fn qemu_co_mutex_lock(CoMutex *mutex)
{
    guard_lock(&mutex->guard);
    if (mutex->locked) {
        mutex_wait(mutex);         /* comes back as the owner, and without the guard */
        return;
    }
    mutex->locked = true;
    guard_unlock(&mutex->guard);
}

bool qemu_co_mutex_trylock(CoMutex *mutex)
{
    bool was_locked;

    guard_lock(&mutex->guard);
    was_locked = mutex->locked;
    mutex->locked = true;
    guard_unlock(&mutex->guard);
    return !was_locked;
}

void coroutine_fn qemu_co_mutex_unlock(CoMutex *mutex)
{
    CoWaiter *waiter;

    guard_lock(&mutex->guard);
    if (!mutex->locked) {
        die("a coroutine mutex was unlocked that is not locked");
    }
    waiter = waiters_pop(&mutex->waiters);
    mutex->locked = waiter != NULL;
    guard_unlock(&mutex->guard);
    if (waiter) {
        aio_co_wake(waiter->co);
    }
}

/* ---- CoQueue ---- */

void qemu_co_queue_init(CoQueue *queue)
{
    memset(queue, 0, sizeof(*queue));
    STAILQ_INIT(&queue->waiters);
}

void coroutine_fn qemu_co_queue_wait_locked(CoQueue *queue, CoMutex *mutex)
{
    CoWaiter waiter = { .co = qemu_coroutine_self() };

    if (!waiter.co) {
        die("a coroutine queue was waited on outside of a coroutine");
    }
    guard_lock(&queue->guard);
    waiters_push(&queue->waiters, &waiter);
    guard_unlock(&queue->guard);
    if (mutex) {
        qemu_co_mutex_unlock(mutex);
    }
    qemu_coroutine_yield();
    if (mutex) {
        qemu_co_mutex_lock(mutex);
    }
}

void coroutine_fn qemu_co_queue_wait(CoQueue *queue)
{
    qemu_co_queue_wait_locked(queue, NULL);
}

bool qemu_co_queue_next(CoQueue *queue)
{
    CoWaiter *waiter;

    guard_lock(&queue->guard);
    waiter = waiters_pop(&queue->waiters);
    guard_unlock(&queue->guard);
    if (!waiter) {
        return false;
    }
    aio_co_wake(waiter->co);
    return true;
}

/* The list is taken as a whole first: who waits again on being woken stays. */
void qemu_co_queue_restart_all(CoQueue *queue)
{
    CoWaiterList woken = STAILQ_HEAD_INITIALIZER(woken);

    guard_lock(&queue->guard);
    STAILQ_CONCAT(&woken, &queue->waiters);
    guard_unlock(&queue->guard);
    wake_all(&woken);
}

bool qemu_co_queue_empty(CoQueue *queue)
{
    bool empty;

    guard_lock(&queue->guard);
    empty = STAILQ_EMPTY(&queue->waiters);
    guard_unlock(&queue->guard);
    return empty;
}

/* ---- CoRwlock ---- */

void qemu_co_rwlock_init(CoRwlock *lock)
{
    memset(lock, 0, sizeof(*lock));
    STAILQ_INIT(&lock->waiters);
}

/* Called with the guard held, returns without. */
static void coroutine_fn rwlock_wait(CoRwlock *lock, bool writer)
{
    CoWaiter waiter = { .co = qemu_coroutine_self(), .writer = writer };

    if (!waiter.co) {
        die("a coroutine rwlock was locked outside of a coroutine");
    }
    waiters_push(&lock->waiters, &waiter);
    guard_unlock(&lock->guard);
    qemu_coroutine_yield();
}

/* A reader does not overtake a waiting writer. */
void coroutine_fn qemu_co_rwlock_rdlock(CoRwlock *lock)
{
    guard_lock(&lock->guard);
    if (lock->readers == WRITER || !STAILQ_EMPTY(&lock->waiters)) {
        rwlock_wait(lock, false);
        return;
    }
    lock->readers++;
    guard_unlock(&lock->guard);
}

void coroutine_fn qemu_co_rwlock_wrlock(CoRwlock *lock)
{
    guard_lock(&lock->guard);
    if (lock->readers != 0) {
        rwlock_wait(lock, true);
        return;
    }
    lock->readers = WRITER;
    guard_unlock(&lock->guard);
}

/* Gives a lock that nobody holds to the first writer, or to all the readers
 * before it, and moves them to `woken`. */
static void rwlock_hand_over(CoRwlock *lock, CoWaiterList *woken)
{
    CoWaiter *waiter;

    while ((waiter = STAILQ_FIRST(&lock->waiters)) != NULL) {
        if (waiter->writer && lock->readers > 0) {
            return;
        }
        waiters_pop(&lock->waiters);
        STAILQ_INSERT_TAIL(woken, waiter, next);
        if (waiter->writer) {
            lock->readers = WRITER;
            return;
        }
        lock->readers++;
    }
}

void coroutine_fn qemu_co_rwlock_unlock(CoRwlock *lock)
{
    CoWaiterList woken = STAILQ_HEAD_INITIALIZER(woken);

    guard_lock(&lock->guard);
    if (lock->readers == 0) {
        die("a coroutine rwlock was unlocked that is not locked");
    }
    lock->readers = lock->readers == WRITER ? 0 : lock->readers - 1;
    if (lock->readers == 0) {
        rwlock_hand_over(lock, &woken);
    }
    guard_unlock(&lock->guard);
    wake_all(&woken);
}
