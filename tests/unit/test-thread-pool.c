/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread pool: how many jobs run at a time. */
#include "unit.h"

#include "aio/coroutine-int.h"

#define JOBS_MAX 32

static pthread_barrier_t all_run;
static int ended;

static int meet(void *opaque)
{
    (void)opaque;
    pthread_barrier_wait(&all_run);
    return 0;
}

static int nothing(void *opaque)
{
    (void)opaque;
    return 0;
}

static void coroutine_fn job_co(void *opaque)
{
    aio_co_run_in_thread(opaque, NULL);
    ended++;
}

static void start_jobs(AioContext *ctx, int n, int (*fn)(void *))
{
    ended = 0;
    for (int i = 0; i < n; i++) {
        aio_co_start(ctx, qemu_coroutine_create(job_co), fn);
    }
    while (ended < n) {
        aio_poll(ctx, true);
    }
}

/* Idle workers take some of them; the others must not wait until those are done. */
static void jobs_of_a_burst_run_at_the_same_time(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);

    (void)state;
    for (unsigned n = 1; n <= JOBS_MAX; n++) {
        assert_int_equal(pthread_barrier_init(&all_run, NULL, n), 0);
        start_jobs(ctx, (int)n, meet);
        pthread_barrier_destroy(&all_run);
    }
    aio_context_unref(ctx);
}

static void more_jobs_than_workers_all_end(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);

    (void)state;
    start_jobs(ctx, 1000, nothing);
    aio_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_burst_run_at_the_same_time),
        cmocka_unit_test(more_jobs_than_workers_all_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
