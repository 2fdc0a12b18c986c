/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Latency histograms: bins and their bounds, replacing them, and counting in many threads. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include <blkbackend/block-backend.h>

static _Atomic int64_t now_ns;

static int64_t stepped_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static int setup(void **state)
{
    (void)state;
    blkbackend_set_clock(stepped_clock, NULL);
    return qemu_init_main_loop(NULL);
}

/* An operation of this latency. */
static void operation(BlockAcctStats *stats, enum BlockAcctType type, int64_t ns, bool failed)
{
    BlockAcctCookie cookie = { .bytes = 512, .start_time_ns = now_ns - ns, .type = type };

    if (failed) {
        block_acct_failed(stats, &cookie);
    } else {
        block_acct_done(stats, &cookie);
    }
}

static void assert_bins(BlockAcctStats *stats, enum BlockAcctType type, const uint64_t *expected,
                        unsigned boundaries)
{
    uint64_t bins[16];

    assert_int_equal(block_latency_histogram_get(stats, type, NULL, bins, 15), boundaries);
    for (unsigned i = 0; i <= boundaries; i++) {
        assert_int_equal(bins[i], expected[i]);
    }
}

static void each_latency_has_its_bin(void **state)
{
    static const uint64_t bounds[] = { 10, 50, 100 };
    static const int64_t latencies[] = { 0, 9, 10, 49, 50, 99, 100, 1000000000000 };
    BlockBackend *blk = blk_new(NULL);
    BlockAcctStats *stats = blk_get_stats(blk);
    uint64_t back[4] = { 0 };

    (void)state;
    now_ns = 2000000000000;
    assert_int_equal(block_latency_histogram_get(stats, BLOCK_ACCT_READ, NULL, NULL, 0), 0);
    operation(stats, BLOCK_ACCT_READ, 5, false);     /* before there is one */
    assert_int_equal(block_latency_histogram_set(stats, BLOCK_ACCT_READ, bounds, 3), 0);
    for (size_t i = 0; i < 8; i++) {
        operation(stats, BLOCK_ACCT_READ, latencies[i], false);
        operation(stats, BLOCK_ACCT_WRITE, latencies[i], false);
    }
    assert_bins(stats, BLOCK_ACCT_READ, (uint64_t[]){ 2, 2, 2, 2 }, 3);
    assert_int_equal(block_latency_histogram_get(stats, BLOCK_ACCT_WRITE, NULL, NULL, 0), 0);
    assert_int_equal(block_latency_histogram_get(stats, BLOCK_ACCT_READ, back, NULL, 2), 3);
    assert_int_equal(back[0], 10);
    assert_int_equal(back[1], 50);
    assert_int_equal(back[2], 0);       /* no more than asked for */
    blk_unref(blk);
}

/* Bounds anywhere, many with as many bits as each other. */
static void each_boundary_is_found(void **state)
{
    enum { N = 14 };
    static const uint64_t bounds[N] = {
        1, 2, 3, 4, 7, 8, 1023, 1024, 1025, 1500, 2047, 2048, (uint64_t)1 << 40, INT64_MAX,
    };
    uint64_t expected[N + 1];
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    now_ns = INT64_MAX;
    block_latency_histogram_set(&stats, BLOCK_ACCT_READ, bounds, N);
    for (unsigned i = 0; i < N; i++) {
        operation(&stats, BLOCK_ACCT_READ, (int64_t)bounds[i] - 1, false);
        operation(&stats, BLOCK_ACCT_READ, (int64_t)bounds[i], false);
        expected[i] = i > 0 ? 2 : 1;
    }
    expected[N] = 1;
    assert_bins(&stats, BLOCK_ACCT_READ, expected, N);
    block_acct_cleanup(&stats);
}

static void failed_ones_count_as_their_time_does(void **state)
{
    static const uint64_t bounds[] = { 10 };
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    block_latency_histogram_set(&stats, BLOCK_ACCT_FLUSH, bounds, 1);
    operation(&stats, BLOCK_ACCT_FLUSH, 20, true);
    block_acct_invalid(&stats, BLOCK_ACCT_FLUSH);
    assert_bins(&stats, BLOCK_ACCT_FLUSH, (uint64_t[]){ 0, 0 }, 1);
    block_acct_init(&stats, true, true);
    operation(&stats, BLOCK_ACCT_FLUSH, 20, true);
    block_acct_invalid(&stats, BLOCK_ACCT_FLUSH);
    assert_bins(&stats, BLOCK_ACCT_FLUSH, (uint64_t[]){ 0, 1 }, 1);
    block_acct_cleanup(&stats);
}

static void bounds_must_rise(void **state)
{
    static const uint64_t good[] = { 1, 2 }, zero[] = { 0, 1 }, same[] = { 3, 3 },
                          falling[] = { 5, 6, 4 };
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    assert_int_equal(block_latency_histogram_set(&stats, BLOCK_ACCT_READ, good, 2), 0);
    assert_int_equal(block_latency_histogram_set(&stats, BLOCK_ACCT_READ, zero, 2), -EINVAL);
    assert_int_equal(block_latency_histogram_set(&stats, BLOCK_ACCT_READ, same, 2), -EINVAL);
    assert_int_equal(block_latency_histogram_set(&stats, BLOCK_ACCT_READ, falling, 3), -EINVAL);
    assert_int_equal(block_latency_histogram_get(&stats, BLOCK_ACCT_READ, NULL, NULL, 0), 2);
    block_acct_cleanup(&stats);
}

static void a_new_one_starts_at_nothing(void **state)
{
    static const uint64_t bounds[] = { 10, 20 }, others[] = { 15 };
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    block_latency_histogram_set(&stats, BLOCK_ACCT_READ, bounds, 2);
    block_latency_histogram_set(&stats, BLOCK_ACCT_WRITE, bounds, 2);
    operation(&stats, BLOCK_ACCT_READ, 12, false);
    block_latency_histogram_set(&stats, BLOCK_ACCT_READ, others, 1);
    assert_bins(&stats, BLOCK_ACCT_READ, (uint64_t[]){ 0, 0 }, 1);
    operation(&stats, BLOCK_ACCT_READ, 12, false);
    assert_bins(&stats, BLOCK_ACCT_READ, (uint64_t[]){ 1, 0 }, 1);
    block_latency_histogram_set(&stats, BLOCK_ACCT_READ, NULL, 0);
    assert_int_equal(block_latency_histogram_get(&stats, BLOCK_ACCT_READ, NULL, NULL, 0), 0);
    assert_int_equal(block_latency_histogram_get(&stats, BLOCK_ACCT_WRITE, NULL, NULL, 0), 2);
    block_latency_histograms_clear(&stats);
    assert_int_equal(block_latency_histogram_get(&stats, BLOCK_ACCT_WRITE, NULL, NULL, 0), 0);
    operation(&stats, BLOCK_ACCT_WRITE, 12, false);
    block_acct_cleanup(&stats);
}

static void old_ones_are_freed_when_the_user_says_so(void **state)
{
    static const uint64_t bounds[] = { 10, 20 };
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    for (int i = 0; i < 3; i++) {
        block_latency_histogram_set(&stats, BLOCK_ACCT_READ, bounds, 2);
        operation(&stats, BLOCK_ACCT_READ, 12, false);
        block_latency_histograms_reclaim(&stats);
        assert_null(stats.retired_histograms);
        assert_bins(&stats, BLOCK_ACCT_READ, (uint64_t[]){ 0, 1, 0 }, 2);
    }
    block_latency_histograms_clear(&stats);
    assert_non_null(stats.retired_histograms);
    block_acct_cleanup(&stats);
    assert_null(stats.retired_histograms);
}

/* ---- threads ---- */

#define THREADS 8
#define OPERATIONS 5000

static void *count_operations(void *opaque)
{
    for (int i = 0; i < OPERATIONS; i++) {
        operation(opaque, BLOCK_ACCT_READ, i % 4 * 10, false);
        operation(opaque, BLOCK_ACCT_WRITE, 1, false);
    }
    return NULL;
}

static void it_is_exact_in_many_threads(void **state)
{
    static const uint64_t bounds[] = { 10, 20, 30 }, other[] = { 5 };
    const uint64_t share = THREADS * OPERATIONS / 4;
    pthread_t threads[THREADS];
    BlockAcctStats stats;

    (void)state;
    memset(&stats, 0, sizeof(stats));
    block_latency_histogram_set(&stats, BLOCK_ACCT_READ, bounds, 3);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_operations, &stats), 0);
    }
    /* The other one is replaced all the time meanwhile. */
    for (int i = 0; i < 200; i++) {
        block_latency_histogram_set(&stats, BLOCK_ACCT_WRITE, other, 1);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_bins(&stats, BLOCK_ACCT_READ, (uint64_t[]){ share, share, share, share }, 3);
    assert_int_equal(stats.nr_ops[BLOCK_ACCT_READ], THREADS * OPERATIONS);
    block_acct_cleanup(&stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_latency_has_its_bin),
        cmocka_unit_test(each_boundary_is_found),
        cmocka_unit_test(failed_ones_count_as_their_time_does),
        cmocka_unit_test(bounds_must_rise),
        cmocka_unit_test(a_new_one_starts_at_nothing),
        cmocka_unit_test(old_ones_are_freed_when_the_user_says_so),
        cmocka_unit_test(it_is_exact_in_many_threads),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
