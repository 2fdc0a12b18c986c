/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits on backends that many threads use at once, on the real clock. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include <blkbackend/block-backend.h>

#define THREADS 8
#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

static int setup(void **state)
{
    (void)state;
    alarm(120);     /* a lost wake-up fails the test instead of hanging it */
    return qemu_init_main_loop(NULL);
}

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

static BlockBackend *open_null(void)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("null-co"));
    return blk_new_open(NULL, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB, &error_abort);
}

static void set_iops(BlockBackend *blk, double iops)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.buckets[THROTTLE_OPS_TOTAL].avg = iops;
    blk_set_io_limits(blk, &cfg);
}

/* ---- threads that read and write ---- */

static atomic_bool stop;
static atomic_int done;

typedef struct Worker {
    pthread_t thread;
    BlockBackend *blk;
    bool is_write;
} Worker;

static void *work(void *opaque)
{
    Worker *w = opaque;
    uint8_t buf[512] = { 0 };

    while (!atomic_load(&stop)) {
        int ret = w->is_write ? blk_pwrite(w->blk, 0, buf, sizeof(buf))
                              : blk_pread(w->blk, 0, buf, sizeof(buf));

        assert_true(ret == sizeof(buf) || ret == -ENOMEDIUM);
        atomic_fetch_add(&done, 1);
    }
    return NULL;
}

static void workers_start(Worker *workers, BlockBackend *even, BlockBackend *odd)
{
    atomic_store(&stop, false);
    atomic_store(&done, 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i].blk = i % 2 ? odd : even;
        workers[i].is_write = i / 2 % 2;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

static void workers_join(Worker *workers)
{
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
}

/* A timer that goes off ends main_loop_wait(). */
static void time_is_up(void *opaque)
{
    (void)opaque;
}

static void run_main_loop_for(int64_t ns)
{
    int64_t end = now_ns() + ns;
    QEMUTimer *timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                     time_is_up, NULL);

    timer_mod_ns(timer, end);
    while (now_ns() < end) {
        main_loop_wait(false);
    }
    timer_free(timer);
}

/* ---- tests ---- */

static void a_limit_holds_for_the_sum_of_all_threads(void **state)
{
    BlockBackend *a = open_null(), *b = open_null();
    Worker workers[THREADS];
    int64_t start, elapsed;

    (void)state;
    blk_io_limits_enable(a, "g");
    blk_io_limits_enable(b, "g");
    set_iops(a, 2000);
    start = now_ns();
    workers_start(workers, a, b);
    run_main_loop_for(SECOND);
    workers_join(workers);
    elapsed = now_ns() - start;
    /* 100 ms' worth goes at once, and who waited when it was over still went */
    assert_true(done <= (int)(2000 * elapsed / SECOND) + 200 + 1 + THREADS);
    assert_true(done >= 1500);
    blk_unref(a);
    blk_unref(b);
}

/* Nobody runs the main loop, and no thread but the waiting one its context. */
static void a_thread_waits_without_anybodys_help(void **state)
{
    BlockBackend *blk = open_null();
    Worker workers[THREADS];

    (void)state;
    blk_io_limits_enable(blk, NULL);
    set_iops(blk, 500);
    workers_start(workers, blk, blk);
    while (atomic_load(&done) < 150) {
        sched_yield();
    }
    workers_join(workers);
    blk_unref(blk);
}

typedef struct LoopClient {
    BlockBackend *blk;
    atomic_bool ended;
} LoopClient;

static void coroutine_fn loop_client_run(void *opaque)
{
    LoopClient *c = opaque;
    uint8_t buf[512] = { 0 };

    while (!atomic_load(&stop)) {
        AioContext *ctx = qemu_get_current_aio_context();

        assert_int_equal(blk_pwrite(c->blk, 0, buf, sizeof(buf)), sizeof(buf));
        assert_ptr_equal(qemu_get_current_aio_context(), ctx);
        atomic_fetch_add(&done, 1);
    }
    atomic_store(&c->ended, true);
    aio_notify(qemu_get_aio_context());
}

/* The timer of each request goes off in its own context, whoever armed it. */
static void requests_wait_in_their_own_contexts(void **state)
{
    LoopClient clients[4] = { { .blk = open_null() }, { .blk = open_null() } };
    LoopThread loops[2];

    (void)state;
    clients[2].blk = clients[0].blk;
    clients[3].blk = clients[1].blk;
    blk_io_limits_enable(clients[0].blk, "g");
    blk_io_limits_enable(clients[1].blk, "g");
    set_iops(clients[0].blk, 2000);
    atomic_store(&stop, false);
    atomic_store(&done, 0);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&loops[i]);
    }
    for (int i = 0; i < 4; i++) {
        aio_co_start(loops[i / 2].ctx, qemu_coroutine_create(loop_client_run), &clients[i]);
    }
    while (atomic_load(&done) < 500) {
        sched_yield();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        while (!atomic_load(&clients[i].ended)) {
            main_loop_wait(false);
        }
    }
    for (int i = 0; i < 2; i++) {
        loop_thread_stop(&loops[i]);
    }
    blk_unref(clients[0].blk);
    blk_unref(clients[1].blk);
}

/* Everything that touches waiting requests, again and again, while they wait. */
static void change_everything(BlockBackend *a, BlockBackend *b, AioContext *ctx, int round)
{
    BlockDriverState *bs = blk_bs(a);

    switch (round % 10) {
    case 0: set_iops(a, 300); break;
    case 1: set_iops(b, 20000); break;
    case 2: blk_drain(a); break;
    case 3: blk_io_limits_update_group(a, "other"); set_iops(a, 400); break;
    case 4: blk_io_limits_disable(b); break;
    case 5: blk_io_limits_enable(b, "g"); set_iops(b, 500); break;
    case 6: blk_drained_begin(b); blk_drained_end(b); break;
    case 7: blk_io_limits_update_group(a, "g"); break;
    case 8:
        blk_set_aio_context(a, ctx);
        blk_set_aio_context(a, qemu_get_aio_context());
        break;
    case 9:
        bdrv_ref(bs);
        blk_remove_bs(a);
        blk_apply_root_state(a, bs);
        blk_insert_bs(a, bs);
        bdrv_unref(bs);
        break;
    }
}

static void changes_while_threads_wait(void **state)
{
    BlockBackend *a = open_null(), *b = open_null();
    AioContext *ctx = aio_context_new(&error_abort);
    Worker workers[THREADS];
    int64_t end = now_ns() + 2 * SECOND;

    (void)state;
    blk_io_limits_enable(a, "g");
    blk_io_limits_enable(b, "g");
    workers_start(workers, a, b);
    for (int round = 0; now_ns() < end; round++) {
        change_everything(a, b, ctx, round);
        run_main_loop_for(round % 7 * MS);
    }
    workers_join(workers);
    blk_unref(a);
    blk_unref(b);
    aio_context_unref(ctx);
}

typedef struct MemberClient {
    ThrottleGroupMember *tgm;
    bool is_write;
    atomic_bool ended;
} MemberClient;

static void coroutine_fn member_client_run(void *opaque)
{
    MemberClient *c = opaque;

    while (!atomic_load(&stop)) {
        int64_t waited_ns;
        int ret = throttle_group_co_io_limits_intercept_parts(c->tgm, 4096, c->is_write,
                                                              &waited_ns);

        assert_true(ret == 0 && waited_ns >= 0);
        atomic_fetch_add(&done, 1);
        aio_co_schedule(qemu_get_current_aio_context(), qemu_coroutine_self());
        qemu_coroutine_yield();
    }
    atomic_store(&c->ended, true);
    aio_notify(qemu_get_aio_context());
}

/* Groups are found, changed and forgotten, members move, while requests wait elsewhere. */
static void *change_members(void *opaque)
{
    static const char *const names[] = { "x", "y", "" };
    ThrottleGroupMember **members = opaque;
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    for (int i = 0; !atomic_load(&stop); i++) {
        ThrottleState *group = throttle_group_incref(names[i % 3]);

        cfg.buckets[THROTTLE_BPS_TOTAL].avg = i % 5 ? 400000 : 0;
        throttle_group_config(group, &cfg);
        throttle_state_get_config(group, &cfg);
        throttle_group_register_tgm(members[i % 2], group);
        throttle_group_unref(group);
        if (i % 7 == 0) {
            throttle_group_restart_tgm(members[i / 7 % 2]);
        }
        if (i % 11 == 0) {
            throttle_group_unregister_tgm(members[i / 11 % 2]);
        }
        sched_yield();
    }
    return NULL;
}

static void members_move_while_they_wait(void **state)
{
    ThrottleGroupMember *members[2] = { throttle_group_member_new(), throttle_group_member_new() };
    MemberClient clients[8] = { { .is_write = false } };
    LoopThread loops[2];
    pthread_t changers[2];

    (void)state;
    atomic_store(&stop, false);
    atomic_store(&done, 0);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&loops[i]);
    }
    for (int i = 0; i < 8; i++) {
        clients[i] = (MemberClient){ .tgm = members[i / 2 % 2], .is_write = i % 2 };
        aio_co_start(loops[i / 4].ctx, qemu_coroutine_create(member_client_run), &clients[i]);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&changers[i], NULL, change_members, members), 0);
    }
    run_main_loop_for(SECOND / 2);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(changers[i], NULL), 0);
        throttle_group_unregister_tgm(members[i]);
    }
    for (int i = 0; i < 8; i++) {
        while (!atomic_load(&clients[i].ended)) {
            main_loop_wait(false);
        }
    }
    for (int i = 0; i < 2; i++) {
        loop_thread_stop(&loops[i]);
        throttle_group_member_free(members[i]);
    }
    assert_true(done > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_holds_for_the_sum_of_all_threads),
        cmocka_unit_test(a_thread_waits_without_anybodys_help),
        cmocka_unit_test(requests_wait_in_their_own_contexts),
        cmocka_unit_test(changes_while_threads_wait),
        cmocka_unit_test(members_move_while_they_wait),
    };

    return cmocka_run_group_tests_name("throttle-threads", tests, setup, NULL);
}
