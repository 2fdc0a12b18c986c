/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drained sections of nodes, waiting, and moving to another event loop. */
#include "graph-test.h"

#include <sys/eventfd.h>

/* Stands for a backend above a node. */
typedef struct Above {
    BdrvParent link;
    int begun, ended, polled;
    atomic_int in_flight;
} Above;

static void above_begin(void *opaque)
{
    ((Above *)opaque)->begun++;
}

static void above_end(void *opaque)
{
    ((Above *)opaque)->ended++;
}

static bool above_busy(void *opaque)
{
    Above *above = opaque;

    above->polled++;
    assert_true(above->begun > above->ended);
    return atomic_load(&above->in_flight) > 0;
}

static const char *above_name(void *opaque)
{
    (void)opaque;
    return "";
}

static const BdrvParentOps above_ops = {
    .drained_begin = above_begin,
    .drained_poll = above_busy,
    .drained_end = above_end,
    .name = above_name,
};

static void above_init(Above *above)
{
    memset(above, 0, sizeof(*above));
    above->link.ops = &above_ops;
    above->link.opaque = above;
}

static void draining_reaches_all_above(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, 0);
    Above top, side;

    (void)state;
    above_init(&top);
    above_init(&side);
    bdrv_add_parent(bs, &top.link);
    bdrv_add_parent(bdrv_file(bs), &side.link);
    bdrv_drained_begin(bdrv_file(bs));
    assert_int_equal(top.begun, 1);
    assert_int_equal(side.begun, 1);
    assert_true(top.polled > 0 && side.polled > 0);
    bdrv_drained_begin(bs);
    assert_int_equal(top.begun, 2);
    assert_int_equal(side.begun, 1);
    bdrv_drained_end(bs);
    bdrv_drained_end(bdrv_file(bs));
    assert_int_equal(top.ended, 2);
    assert_int_equal(side.ended, 1);
    bdrv_remove_parent(bdrv_file(bs), &side.link);
    bdrv_remove_parent(bs, &top.link);
    bdrv_unref(bs);
}

static void parent_joins_and_leaves_a_drained_section(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, 0);
    Above above;

    (void)state;
    above_init(&above);
    bdrv_drained_begin(bdrv_file(bs));
    bdrv_drained_begin(bs);
    bdrv_add_parent(bs, &above.link);
    assert_int_equal(above.begun, 2);
    bdrv_remove_parent(bs, &above.link);
    assert_int_equal(above.ended, 2);
    bdrv_add_parent(bs, &above.link);
    bdrv_drained_end(bs);
    bdrv_drained_end(bdrv_file(bs));
    assert_int_equal(above.begun, above.ended);
    bdrv_remove_parent(bs, &above.link);
    bdrv_unref(bs);
}

/* ---- waiting ---- */

static void finish_one(void *opaque)
{
    Above *above = opaque;

    atomic_fetch_sub(&above->in_flight, 1);
    bdrv_wait_kick();
}

static void drain_waits_for_other_threads(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, 0);
    LoopThread loop;
    Above above;

    (void)state;
    loop_thread_start(&loop);
    above_init(&above);
    bdrv_add_parent(bs, &above.link);
    for (int i = 0; i < 200; i++) {
        atomic_store(&above.in_flight, 2);
        aio_bh_schedule_oneshot(loop.ctx, finish_one, &above);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), finish_one, &above);
        bdrv_drained_begin(bs);
        assert_int_equal(atomic_load(&above.in_flight), 0);
        bdrv_drained_end(bs);
    }
    bdrv_remove_parent(bs, &above.link);
    bdrv_unref(bs);
    loop_thread_stop(&loop);
}

static bool is_positive(void *opaque)
{
    return atomic_load(&((Above *)opaque)->in_flight) > 0;
}

/* Nobody runs the context, or we keep out who does: the waiter has to run it beside its own. */
static void waiter_runs_a_loop_that_nobody_runs(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);
    Above above;

    (void)state;
    above_init(&above);
    for (int held = 0; held < 2; held++) {
        atomic_store(&above.in_flight, 2);
        if (held) {
            aio_context_acquire(ctx);
        }
        aio_bh_schedule_oneshot(ctx, finish_one, &above);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), finish_one, &above);
        bdrv_wait_while(ctx, is_positive, &above);
        if (held) {
            aio_context_release(ctx);
        }
    }
    aio_context_unref(ctx);
}

/* ---- external events ---- */

static void count_call(void *opaque)
{
    ++*(int *)opaque;
}

static int watch_external(AioContext *ctx, int *calls)
{
    int fd = eventfd(1, EFD_CLOEXEC);    /* readable for ever */

    assert_true(fd >= 0);
    aio_set_fd_handler(ctx, fd, true, count_call, NULL, calls);
    return fd;
}

static void unwatch(AioContext *ctx, int fd)
{
    aio_set_fd_handler(ctx, fd, true, NULL, NULL, NULL);
    close(fd);
}

static void drained_section_keeps_external_events_out(void **state)
{
    AioContext *ctx = qemu_get_aio_context(), *other = aio_context_new(&error_abort);
    BlockDriverState *bs = open_ok("test:x", NULL, 0);
    int calls = 0, other_calls = 0;
    int fd = watch_external(ctx, &calls), other_fd = watch_external(other, &other_calls);

    (void)state;
    aio_poll(ctx, true);
    assert_int_equal(calls, 1);
    bdrv_drained_begin(bs);
    aio_poll(ctx, false);
    assert_int_equal(calls, 1);

    aio_context_acquire(other);
    bdrv_detach_aio_context(bs);
    bdrv_attach_aio_context(bs, other);
    aio_context_release(other);
    assert_ptr_equal(bdrv_get_aio_context(bs), other);
    assert_ptr_equal(bdrv_get_aio_context(bdrv_file(bs)), other);
    aio_poll(other, false);
    assert_int_equal(other_calls, 0);
    aio_poll(ctx, true);
    assert_int_equal(calls, 2);

    bdrv_drained_end(bs);
    aio_poll(other, true);
    assert_int_equal(other_calls, 1);
    unwatch(ctx, fd);
    unwatch(other, other_fd);
    bdrv_unref(bs);
    aio_context_unref(other);
}

/* ---- moving ---- */

static char moves[8];

static void note_detach(BlockDriverState *bs)
{
    strcat(moves, bdrv_file(bs) ? "D" : "d");
}

static void note_attach(BlockDriverState *bs, AioContext *new_context)
{
    (void)new_context;
    strcat(moves, bdrv_file(bs) ? "A" : "a");
}

static void parents_detach_first_and_attach_last(void **state)
{
    BlockDriverState *bs;
    AioContext *ctx = qemu_get_aio_context();

    (void)state;
    test_driver.bdrv_detach_aio_context = testfmt_driver.bdrv_detach_aio_context = note_detach;
    test_driver.bdrv_attach_aio_context = testfmt_driver.bdrv_attach_aio_context = note_attach;
    bs = open_ok("test:x", "{\"driver\":\"testfmt\"}", 0);
    bdrv_detach_aio_context(bs);
    bdrv_attach_aio_context(bs, ctx);
    assert_string_equal(moves, "DdaA");
    bdrv_unref(bs);
}

#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(draining_reaches_all_above),
        TEST(parent_joins_and_leaves_a_drained_section),
        TEST(drain_waits_for_other_threads),
        TEST(waiter_runs_a_loop_that_nobody_runs),
        TEST(drained_section_keeps_external_events_out),
        TEST(parents_detach_first_and_attach_last),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
