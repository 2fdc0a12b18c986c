/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics, on a clock that the test moves. */
#include "blk-test.h"

#define SECOND 1000000000LL

static int64_t now;

static int64_t test_clock(void *opaque)
{
    (void)opaque;
    return __atomic_load_n(&now, __ATOMIC_RELAXED);
}

static int own_clock(void **state)
{
    (void)state;
    now = 100 * SECOND;
    blkbackend_set_clock(test_clock, NULL);
    return 0;
}

static int clock_back(void **state)
{
    (void)state;
    blkbackend_set_clock(NULL, NULL);
    return 0;
}

/* An operation that takes `latency`, and ends as `end` says. */
static void operate(BlockAcctStats *stats, enum BlockAcctType type, int64_t bytes, int64_t latency,
                    void (*end)(BlockAcctStats *, BlockAcctCookie *))
{
    BlockAcctCookie cookie;

    block_acct_start(stats, &cookie, bytes, type);
    now += latency;
    end(stats, &cookie);
}

static void start_fills_the_cookie_and_nothing_else(void **state)
{
    BlockAcctStats stats = { .account_invalid = true, .account_failed = true };
    BlockAcctStats before = stats;
    BlockAcctCookie cookie;

    (void)state;
    block_acct_start(&stats, &cookie, 4096, BLOCK_ACCT_WRITE);
    assert_int_equal(cookie.bytes, 4096);
    assert_int_equal(cookie.start_time_ns, now);
    assert_int_equal(cookie.type, BLOCK_ACCT_WRITE);
    assert_memory_equal(&stats, &before, sizeof(stats));
}

static void init_sets_the_switches(void **state)
{
    BlockAcctStats stats = { .nr_ops = { 1 } };

    (void)state;
    block_acct_init(&stats, true, false);
    assert_true(stats.account_invalid);
    assert_false(stats.account_failed);
    block_acct_init(&stats, false, true);
    assert_false(stats.account_invalid);
    assert_true(stats.account_failed);
    assert_int_equal(stats.nr_ops[0], 1);
}

static void success_counts_by_type(void **state)
{
    BlockAcctStats stats = { .account_failed = false };

    (void)state;
    operate(&stats, BLOCK_ACCT_READ, 512, 10, block_acct_done);
    operate(&stats, BLOCK_ACCT_READ, 1024, 20, block_acct_done);
    operate(&stats, BLOCK_ACCT_FLUSH, 0, 5, block_acct_done);
    assert_int_equal(stats.nr_bytes[BLOCK_ACCT_READ], 1536);
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_READ], 2);
    assert_int_equal(stats.total_time_ns[BLOCK_ACCT_READ], 30);
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_WRITE], 0);
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_FLUSH], 1);
    assert_int_equal(stats.total_time_ns[BLOCK_ACCT_FLUSH], 5);
    assert_int_equal(stats.last_access_time_ns, now);
}

static void failure_is_an_access_if_wanted(void **state)
{
    BlockAcctStats stats = { .account_failed = false };

    (void)state;
    operate(&stats, BLOCK_ACCT_WRITE, 512, 10, block_acct_failed);
    assert_int_equal(stats.failed_ops[BLOCK_ACCT_WRITE], 1);
    assert_int_equal(stats.total_time_ns[BLOCK_ACCT_WRITE], 0);
    assert_int_equal(stats.last_access_time_ns, 0);

    block_acct_init(&stats, false, true);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 10, block_acct_failed);
    assert_int_equal(stats.failed_ops[BLOCK_ACCT_WRITE], 2);
    assert_int_equal(stats.total_time_ns[BLOCK_ACCT_WRITE], 10);
    assert_int_equal(stats.last_access_time_ns, now);
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_WRITE], 0);
    assert_int_equal(stats.nr_bytes[BLOCK_ACCT_WRITE], 0);
}

static void invalid_is_an_access_if_wanted(void **state)
{
    BlockAcctStats stats = { .account_failed = true };

    (void)state;
    block_acct_invalid(&stats, BLOCK_ACCT_READ);
    assert_int_equal(stats.invalid_ops[BLOCK_ACCT_READ], 1);
    assert_int_equal(stats.last_access_time_ns, 0);
    block_acct_init(&stats, true, false);
    block_acct_invalid(&stats, BLOCK_ACCT_READ);
    assert_int_equal(stats.invalid_ops[BLOCK_ACCT_READ], 2);
    assert_int_equal(stats.last_access_time_ns, now);
    assert_int_equal(stats.total_time_ns[BLOCK_ACCT_READ], 0);
    assert_int_equal(stats.failed_ops[BLOCK_ACCT_READ], 0);
}

static void merges_are_added_up(void **state)
{
    BlockAcctStats stats = { .account_failed = false };

    (void)state;
    block_acct_merge_done(&stats, BLOCK_ACCT_WRITE, 3);
    block_acct_merge_done(&stats, BLOCK_ACCT_WRITE, 4);
    assert_int_equal(stats.merged[BLOCK_ACCT_WRITE], 7);
    assert_int_equal(stats.merged[BLOCK_ACCT_READ], 0);
}

static void idle_time_runs_from_the_last_access(void **state)
{
    BlockAcctStats stats = { .account_failed = false };

    (void)state;
    operate(&stats, BLOCK_ACCT_READ, 512, 10, block_acct_done);
    now += 7 * SECOND;
    assert_int_equal(block_acct_idle_time_ns(&stats), 7 * SECOND);
}

static void intervals_are_listed_newest_first(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    BlockAcctTimedStats *s;

    (void)state;
    assert_null(block_acct_interval_next(&stats, NULL));
    block_acct_add_interval(&stats, 60);
    block_acct_add_interval(&stats, 10);
    s = block_acct_interval_next(&stats, NULL);
    assert_int_equal(s->interval_length, 10);
    s = block_acct_interval_next(&stats, s);
    assert_int_equal(s->interval_length, 60);
    assert_null(block_acct_interval_next(&stats, s));
    block_acct_cleanup(&stats);
    assert_null(block_acct_interval_next(&stats, NULL));
}

static void an_empty_window_answers_zero(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    BlockAcctTimedStats *s;
    uint64_t elapsed;

    (void)state;
    block_acct_add_interval(&stats, 3);
    s = block_acct_interval_next(&stats, NULL);
    assert_int_equal(timed_average_min(&s->latency[BLOCK_ACCT_READ]), 0);
    assert_int_equal(timed_average_max(&s->latency[BLOCK_ACCT_READ]), 0);
    assert_int_equal(timed_average_avg(&s->latency[BLOCK_ACCT_READ]), 0);
    assert_int_equal(timed_average_sum(&s->latency[BLOCK_ACCT_READ], &elapsed), 0);
    assert_int_equal(timed_average_sum(&s->latency[BLOCK_ACCT_READ], NULL), 0);
    assert_true(block_acct_queue_depth(s, BLOCK_ACCT_READ) == 0);
    block_acct_cleanup(&stats);
}

static void intervals_know_min_max_and_average(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    BlockAcctTimedStats *s;

    (void)state;
    block_acct_add_interval(&stats, 3);
    s = block_acct_interval_next(&stats, NULL);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 300, block_acct_done);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 100, block_acct_done);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 500, block_acct_done);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 9000, block_acct_failed);    /* not wanted */
    assert_int_equal(timed_average_min(&s->latency[BLOCK_ACCT_WRITE]), 100);
    assert_int_equal(timed_average_max(&s->latency[BLOCK_ACCT_WRITE]), 500);
    assert_int_equal(timed_average_avg(&s->latency[BLOCK_ACCT_WRITE]), 300);
    assert_int_equal(timed_average_sum(&s->latency[BLOCK_ACCT_WRITE], NULL), 900);
    assert_int_equal(timed_average_max(&s->latency[BLOCK_ACCT_READ]), 0);
    block_acct_init(&stats, false, true);
    operate(&stats, BLOCK_ACCT_WRITE, 512, 9000, block_acct_failed);
    assert_int_equal(timed_average_max(&s->latency[BLOCK_ACCT_WRITE]), 9000);
    block_acct_cleanup(&stats);
}

/* An interval of 3 s has windows of 4 s; their ends alternate every 2 s. */
static void windows_slide_on_their_grid(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    int64_t start = now;
    BlockAcctTimedStats *s;
    TimedAverage *ta;
    uint64_t elapsed;

    (void)state;
    block_acct_add_interval(&stats, 3);
    s = block_acct_interval_next(&stats, NULL);
    ta = &s->latency[BLOCK_ACCT_READ];

    now = start + 1 * SECOND;
    operate(&stats, BLOCK_ACCT_READ, 512, 0, block_acct_done);
    now = start + 1 * SECOND + SECOND / 2;
    operate(&stats, BLOCK_ACCT_READ, 512, 100, block_acct_done);
    assert_int_equal(timed_average_max(ta), 100);

    now = start + 2 * SECOND;       /* the first ends; the second has run for 2 s */
    assert_int_equal(timed_average_sum(ta, &elapsed), 100);
    assert_int_equal(elapsed, 2 * SECOND);

    now = start + 3 * SECOND;
    operate(&stats, BLOCK_ACCT_READ, 512, 40, block_acct_done);
    assert_int_equal(timed_average_sum(ta, &elapsed), 140);
    assert_int_equal(elapsed, 3 * SECOND + 40);

    now = start + 4 * SECOND;       /* the second ends: only what came after 2 s is left */
    assert_int_equal(timed_average_sum(ta, &elapsed), 40);
    assert_int_equal(elapsed, 2 * SECOND);
    assert_int_equal(timed_average_min(ta), 40);

    now = start + 6 * SECOND;
    assert_int_equal(timed_average_sum(ta, NULL), 0);

    /* Long silence: the next end is still on the grid of 2 s. */
    now = start + 1001 * SECOND;
    timed_average_sum(ta, &elapsed);
    assert_int_equal(elapsed, 3 * SECOND);
    block_acct_cleanup(&stats);
}

static void answers_cover_two_to_four_thirds(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    TimedAverage *ta;
    uint64_t elapsed;

    (void)state;
    block_acct_add_interval(&stats, 9);
    ta = &block_acct_interval_next(&stats, NULL)->latency[BLOCK_ACCT_READ];
    for (int i = 0; i < 1000; i++) {
        now += SECOND / 7;
        timed_average_sum(ta, &elapsed);
        assert_in_range(elapsed, 6 * SECOND, 12 * SECOND);
    }
    block_acct_cleanup(&stats);
}

static void queue_depth_is_latency_over_time(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    BlockAcctCookie cookie[3];
    BlockAcctTimedStats *s;
    int64_t start = now;
    double depth;

    (void)state;
    block_acct_add_interval(&stats, 3);
    s = block_acct_interval_next(&stats, NULL);
    now = start + 2 * SECOND;       /* a window begins */
    timed_average_sum(&s->latency[BLOCK_ACCT_READ], NULL);
    for (int i = 0; i < 3; i++) {
        block_acct_start(&stats, &cookie[i], 512, BLOCK_ACCT_READ);
    }
    now = start + 4 * SECOND;       /* it is the older now, and 2 s old */
    for (int i = 0; i < 3; i++) {
        block_acct_done(&stats, &cookie[i]);
    }
    depth = block_acct_queue_depth(s, BLOCK_ACCT_READ);
    assert_true(depth > 2.999 && depth < 3.001);
    assert_true(block_acct_queue_depth(s, BLOCK_ACCT_WRITE) == 0);
    block_acct_cleanup(&stats);
}

static void broken_preconditions_abort(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    BlockAcctCookie cookie;

    (void)state;
    EXPECT_ABORT(block_acct_add_interval(&stats, 0));
    EXPECT_ABORT(block_acct_start(&stats, &cookie, 0, BLOCK_MAX_IOTYPE));
    EXPECT_ABORT(block_acct_invalid(&stats, BLOCK_MAX_IOTYPE));
}

static void a_backend_keeps_its_statistics(void **state)
{
    BlockBackend *blk = open_disk();
    BlockAcctStats *stats = blk_get_stats(blk);
    uint8_t buf[512];

    (void)state;
    assert_int_equal(blk_read(blk, 0, buf, 1), 0);
    assert_int_equal(blk_read(blk, -1, buf, 1), -EIO);
    assert_int_equal(stats->nr_ops[BLOCK_ACCT_READ], 0);     /* nobody counts for us */
    assert_int_equal(stats->invalid_ops[BLOCK_ACCT_READ], 0);
    block_acct_add_interval(stats, 10);
    operate(stats, BLOCK_ACCT_READ, 512, 10, block_acct_done);
    blk_remove_bs(blk);
    assert_ptr_equal(blk_get_stats(blk), stats);
    assert_int_equal(stats->nr_ops[BLOCK_ACCT_READ], 1);
    blk_unref(blk);                 /* frees the intervals: the leak checker looks */
}

#define THREADS 4
#define OPS 20000

static void *count_ops(void *opaque)
{
    BlockAcctStats *stats = opaque;
    BlockAcctCookie cookie;

    for (int i = 0; i < OPS; i++) {
        block_acct_start(stats, &cookie, 512, BLOCK_ACCT_WRITE);
        block_acct_done(stats, &cookie);
        block_acct_merge_done(stats, BLOCK_ACCT_WRITE, 2);
        if (i % 1000 == 0) {
            __atomic_fetch_add(&now, SECOND, __ATOMIC_RELAXED);
            block_acct_idle_time_ns(stats);
            timed_average_avg(&block_acct_interval_next(stats, NULL)->latency[BLOCK_ACCT_WRITE]);
        }
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    BlockAcctStats stats = { .account_failed = false };
    pthread_t threads[THREADS];

    (void)state;
    block_acct_add_interval(&stats, 1);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_ops, &stats), 0);
    }
    block_acct_add_interval(&stats, 2);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_WRITE], THREADS * OPS);
    assert_int_equal(stats.nr_bytes[BLOCK_ACCT_WRITE], THREADS * OPS * 512LL);
    assert_int_equal(stats.merged[BLOCK_ACCT_WRITE], THREADS * OPS * 2);
    block_acct_cleanup(&stats);
}

#define CLOCK_TEST(fn) cmocka_unit_test_setup_teardown(fn, own_clock, clock_back)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOCK_TEST(start_fills_the_cookie_and_nothing_else),
        CLOCK_TEST(init_sets_the_switches),
        CLOCK_TEST(success_counts_by_type),
        CLOCK_TEST(failure_is_an_access_if_wanted),
        CLOCK_TEST(invalid_is_an_access_if_wanted),
        CLOCK_TEST(merges_are_added_up),
        CLOCK_TEST(idle_time_runs_from_the_last_access),
        CLOCK_TEST(intervals_are_listed_newest_first),
        CLOCK_TEST(an_empty_window_answers_zero),
        CLOCK_TEST(intervals_know_min_max_and_average),
        CLOCK_TEST(windows_slide_on_their_grid),
        CLOCK_TEST(answers_cover_two_to_four_thirds),
        CLOCK_TEST(queue_depth_is_latency_over_time),
        CLOCK_TEST(broken_preconditions_abort),
        CLOCK_TEST(a_backend_keeps_its_statistics),
        CLOCK_TEST(threads_count_together),
    };

    return cmocka_run_group_tests_name("accounting", tests, blk_test_setup, NULL);
}
