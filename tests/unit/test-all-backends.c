/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * F7, F51, F52 and F54: what is done to every backend reaches the named, the anonymous and the
 * hidden ones alike, whichever thread runs their loop.
 */
#include "testfmt.h"

#define BACKENDS 3
#define REQUESTS 50

typedef struct Everybody {
    BlockBackend *blk[BACKENDS];        /* named, anonymous, hidden */
    LoopThread loops[BACKENDS - 1];     /* of the last two */
    BlockBackend *empty;
} Everybody;

static const char *const tops[BACKENDS] = { "a", "b", "c" };
static const char *const bases[BACKENDS] = { "x", "y", "z" };

static void open_everybody(Everybody *all)
{
    for (int i = 0; i < BACKENDS; i++) {
        image_make(bases[i], CLUSTER, NULL);
        image_make(tops[i], CLUSTER, bases[i]);
        all->blk[i] = open_image(tops[i], RW);
    }
    all->empty = blk_new(NULL);
    assert_true(monitor_add_blk(all->blk[0], "named", NULL));
    assert_true(monitor_add_blk(all->blk[2], "hidden", NULL));
    blk_hide_on_behalf_of_hmp_drive_del(all->blk[2]);
    for (int i = 1; i < BACKENDS; i++) {
        loop_thread_start(&all->loops[i - 1]);
        blk_set_aio_context(all->blk[i], all->loops[i - 1].ctx);
    }
    events_clear();
}

static void close_everybody(Everybody *all)
{
    for (int i = 1; i < BACKENDS; i++) {
        blk_set_aio_context(all->blk[i], qemu_get_aio_context());
        loop_thread_stop(&all->loops[i - 1]);
    }
    monitor_remove_blk(all->blk[0]);
    for (int i = 0; i < BACKENDS; i++) {
        blk_unref(all->blk[i]);
    }
    blk_unref(all->empty);
}

static void flushing_goes_on_after_an_error(void **state)
{
    Everybody all;

    (void)state;
    open_everybody(&all);
    assert_int_equal(blk_flush_all(), 0);
    assert_events("a flush\nb flush\nc flush\n");
    events_clear();
    image_find("b")->flush_error = -ENOSPC;
    image_find("c")->flush_error = -EIO;
    assert_int_equal(blk_flush_all(), -ENOSPC);
    assert_events("a flush\nb flush\nc flush\n");
    image_find("b")->flush_error = image_find("c")->flush_error = 0;
    close_everybody(&all);
}

static void committing_reaches_all(void **state)
{
    Everybody all;

    (void)state;
    open_everybody(&all);
    for (int i = 0; i < BACKENDS; i++) {
        assert_int_equal(write_fill(all.blk[i], 0, CLUSTER, 1 + i), CLUSTER);
    }
    assert_int_equal(blk_commit_all(), 0);
    for (int i = 0; i < BACKENDS; i++) {
        assert_map(image_find(bases[i]), "D");
        assert_map(image_find(tops[i]), "-");
        assert_int_equal(image_find(bases[i])->data[0], 1 + i);
    }
    close_everybody(&all);
}

static uint8_t data[BACKENDS][REQUESTS][512];
static struct iovec iovs[BACKENDS][REQUESTS];
static QEMUIOVector qiovs[BACKENDS][REQUESTS];

static void submit_to(Everybody *all, int i, AioResult *result)
{
    for (int n = 0; n < REQUESTS; n++) {
        iovs[i][n] = (struct iovec){ data[i][n], 512 };
        qemu_iovec_init_external(&qiovs[i][n], &iovs[i][n], 1);
        blk_aio_pwritev(all->blk[i], 0, &qiovs[i][n], 0, aio_result_cb, result);
    }
}

static void draining_waits_for_all(void **state)
{
    AioResult results[BACKENDS + 1] = { { 0 } };
    Everybody all;

    (void)state;
    open_everybody(&all);
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < BACKENDS; i++) {
            submit_to(&all, i, &results[i]);
        }
        blk_abort_aio_request(all.empty, aio_result_cb, &results[BACKENDS], -EIO);
        blk_drain_all();
        for (int i = 0; i < BACKENDS; i++) {
            assert_int_equal(results[i].calls, round * REQUESTS);
            assert_int_equal(results[i].ret, 0);
        }
        assert_int_equal(results[BACKENDS].calls, round);
        events_clear();
    }
    close_everybody(&all);
}

/* What is in flight completes, well, before its root goes. */
static void removal_takes_every_root(void **state)
{
    AioResult results[BACKENDS] = { { 0 } };
    Everybody all;

    (void)state;
    open_everybody(&all);
    for (int i = 0; i < BACKENDS; i++) {
        submit_to(&all, i, &results[i]);
    }
    blk_remove_all_bs();
    for (int i = 0; i < BACKENDS; i++) {
        assert_null(blk_bs(all.blk[i]));
        assert_int_equal(results[i].calls, REQUESTS);
        assert_int_equal(results[i].ret, 0);
    }
    close_everybody(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(flushing_goes_on_after_an_error),
        IMAGE_TEST(committing_reaches_all),
        IMAGE_TEST(draining_waits_for_all),
        IMAGE_TEST(removal_takes_every_root),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
