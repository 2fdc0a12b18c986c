/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clocks, one of which can be replaced so that tests own time.
 *
 * Reading it takes no lock: the replacement is two words under a sequence
 * number, which is odd while they change.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <blkbackend/aio.h>

typedef int64_t ClockFunc(void *opaque);

static pthread_mutex_t writers_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint sequence;
static _Atomic(ClockFunc *) virtual_fn;   /* NULL: not replaced */
static _Atomic(void *) virtual_opaque;

void blkbackend_set_clock(int64_t (*now_ns)(void *opaque), void *opaque)
{
    pthread_mutex_lock(&writers_lock);
    atomic_fetch_add(&sequence, 1);
    atomic_store(&virtual_fn, now_ns);
    atomic_store(&virtual_opaque, opaque);
    atomic_fetch_add(&sequence, 1);
    pthread_mutex_unlock(&writers_lock);
}

static int64_t system_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t virtual_ns(void)
{
    unsigned before;
    ClockFunc *fn;
    void *opaque;

    do {
        before = atomic_load(&sequence);
        fn = atomic_load(&virtual_fn);
        opaque = atomic_load(&virtual_opaque);
    } while ((before & 1) || atomic_load(&sequence) != before);
    return fn ? fn(opaque) : system_ns(CLOCK_MONOTONIC);
}

int64_t qemu_clock_get_ns(QEMUClockType type)
{
    switch (type) {
    case QEMU_CLOCK_VIRTUAL:
        return virtual_ns();
    case QEMU_CLOCK_HOST:
        return system_ns(CLOCK_REALTIME);
    default:
        return system_ns(CLOCK_MONOTONIC);
    }
}
