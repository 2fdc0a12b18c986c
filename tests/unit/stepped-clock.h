/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clock that the test owns, and the main loop run up to a time. */
#ifndef TESTS_STEPPED_CLOCK_H
#define TESTS_STEPPED_CLOCK_H

#include "unit.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

static _Atomic int64_t clock_ns;

static inline int64_t read_clock(void *opaque)
{
    (void)opaque;
    return atomic_load(&clock_ns);
}

static inline void stepped_clock_start(void)
{
    atomic_store(&clock_ns, 0);
    blkbackend_set_clock(read_clock, NULL);
}

static inline void stepped_clock_stop(void)
{
    blkbackend_set_clock(NULL, NULL);
}

static inline void run_what_is_due(void)
{
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
}

/* To a time, in steps that hit every multiple of `step`. */
static inline void run_until_in_steps(int64_t ns, int64_t step)
{
    run_what_is_due();
    while (clock_ns < ns) {
        atomic_fetch_add(&clock_ns, step);
        run_what_is_due();
    }
}

static inline void run_until(int64_t ns)
{
    run_until_in_steps(ns, MS / 2);
}

#endif
