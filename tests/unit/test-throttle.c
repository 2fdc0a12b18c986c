/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arithmetic of I/O limits: levels, waits, and which limits go together. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/throttle.h"

#define KIB INT64_C(1024)
#define MIB (KIB * KIB)
#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

/* One bucket of a configuration; its avg, its max, its burst_length. */
typedef struct Limit {
    BucketType type;
    double avg, max;
    unsigned length;
} Limit;

static ThrottleConfig config_of(const Limit *limits, int n)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    for (int i = 0; i < n; i++) {
        cfg.buckets[limits[i].type].avg = limits[i].avg;
        cfg.buckets[limits[i].type].max = limits[i].max;
        cfg.buckets[limits[i].type].burst_length = limits[i].length ? limits[i].length : 1;
    }
    return cfg;
}

#define CONFIG(...) \
    config_of((Limit[]){ __VA_ARGS__ }, sizeof((Limit[]){ __VA_ARGS__ }) / sizeof(Limit))

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 1e-9) {
        fail_msg("%.12g is not %.12g", a, b);
    }
}

/* ---- one bucket ---- */

static void a_bucket_waits_for_what_is_above_its_capacity(void **state)
{
    LeakyBucket bkt = { .avg = 150, .max = 15, .level = 15.5, .burst_length = 1 };

    (void)state;
    assert_int_equal(throttle_compute_wait(&bkt), SECOND / 300);
    bkt.level = 15;
    assert_int_equal(throttle_compute_wait(&bkt), 0);
    bkt.level = 1e12;
    bkt.avg = 0;
    assert_int_equal(throttle_compute_wait(&bkt), 0);
}

static void without_a_burst_the_capacity_is_100_ms(void **state)
{
    LeakyBucket bkt = { .avg = 150, .level = 15, .burst_length = 1 };

    (void)state;
    assert_int_equal(throttle_compute_wait(&bkt), 0);
    bkt.level = 15.5;
    assert_int_equal(throttle_compute_wait(&bkt), SECOND / 300);
}

static void a_long_burst_is_bounded_in_length_and_speed(void **state)
{
    LeakyBucket bkt = { .avg = 10, .max = 200, .burst_length = 2 };

    (void)state;
    bkt.level = 400;
    bkt.burst_level = 20;
    assert_int_equal(throttle_compute_wait(&bkt), 0);
    bkt.burst_level = 21;
    assert_int_equal(throttle_compute_wait(&bkt), 5 * MS);
    bkt.level = 401;    /* and this one counts first */
    assert_int_equal(throttle_compute_wait(&bkt), 100 * MS);
}

static void a_bucket_leaks_down_to_nothing(void **state)
{
    LeakyBucket bkt = { .avg = 150, .level = 1.5, .burst_length = 1 };

    (void)state;
    throttle_leak_bucket(&bkt, 10 * MS);
    assert_near(bkt.level, 0);
    bkt.level = 2;
    throttle_leak_bucket(&bkt, 10 * MS);
    assert_near(bkt.level, 0.5);
    throttle_leak_bucket(&bkt, 10 * MS);
    assert_near(bkt.level, 0);
}

static void the_burst_level_leaks_at_max(void **state)
{
    LeakyBucket bkt = { .avg = 150, .max = 250, .level = 3, .burst_level = 6, .burst_length = 2 };

    (void)state;
    throttle_leak_bucket(&bkt, 10 * MS);
    assert_near(bkt.level, 1.5);
    assert_near(bkt.burst_level, 3.5);
    bkt.burst_length = 1;       /* then it means nothing and stays */
    throttle_leak_bucket(&bkt, 10 * MS);
    assert_near(bkt.burst_level, 3.5);
}

static void account(ThrottleBuckets *tb, bool is_write, uint64_t bytes, int64_t now)
{
    ThrottleLoad load = { .is_write = is_write, .bytes = bytes, .left = bytes };

    throttle_account(tb, &load, bytes, now);
}

/* ---- a stream of requests, each submitted the moment the one before is admitted ---- */

typedef struct Stream {
    ThrottleBuckets tb;
    int64_t now;
} Stream;

static Stream stream_start(ThrottleConfig cfg)
{
    Stream s = { .now = 0 };

    throttle_start(&s.tb, &cfg, 0);
    return s;
}

/* When the next request goes, in ns. */
static int64_t admit(Stream *s, bool is_write, uint64_t bytes)
{
    s->now += throttle_wait_ns(&s->tb, is_write, s->now);
    account(&s->tb, is_write, bytes, s->now);
    return s->now;
}

static void assert_admitted(Stream *s, uint64_t bytes, int count, double ms)
{
    for (int i = 0; i < count; i++) {
        int64_t at = admit(s, true, bytes);

        if (llabs(at - (int64_t)(ms * MS)) > 100) {
            fail_msg("admitted at %.6f ms, not at %.6f", (double)at / MS, ms);
        }
    }
}

static void iops_go_evenly_after_100_ms_worth(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, 100, 0, 1 }));

    (void)state;
    assert_admitted(&s, 123456, 11, 0);
    for (int i = 1; i <= 3000; i++) {
        assert_admitted(&s, 512, 1, 10.0 * i);
    }
}

static void bytes_go_evenly(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_BPS_TOTAL, MIB, 0, 1 }));

    (void)state;
    assert_admitted(&s, 64 * KIB, 2, 0);
    for (int i = 0; i < 1000; i++) {
        assert_admitted(&s, 64 * KIB, 1, 25 + 62.5 * i);
    }
}

static void a_large_request_leaves_a_debt(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_BPS_TOTAL, MIB, 0, 1 }));

    (void)state;
    assert_admitted(&s, 8 * MIB, 1, 0);
    assert_admitted(&s, 8 * MIB, 1, 7900);
    assert_admitted(&s, 8 * MIB, 1, 15900);
    assert_admitted(&s, 8 * MIB, 1, 23900);
}

static void a_burst_goes_at_once(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, 100, 2000, 1 }));

    (void)state;
    assert_admitted(&s, 512, 2001, 0);
    for (int i = 1; i <= 100; i++) {
        assert_admitted(&s, 512, 1, 10.0 * i);
    }
}

static void a_long_burst_goes_at_its_own_speed(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, 10, 200, 2 }));

    (void)state;
    assert_admitted(&s, 512, 21, 0);
    for (int i = 1; i <= 400; i++) {            /* up to the 421st */
        assert_admitted(&s, 512, 1, 5.0 * i);
    }
    for (int i = 1; i <= 20; i++) {
        assert_admitted(&s, 512, 1, 2000 + 100.0 * i);
    }
}

static void a_request_larger_than_iops_size_counts_more(void **state)
{
    ThrottleConfig cfg = CONFIG({ THROTTLE_OPS_TOTAL, 10, 0, 1 });
    Stream s;

    (void)state;
    cfg.op_size = 4096;
    s = stream_start(cfg);
    assert_admitted(&s, 6 * KIB, 1, 0);
    assert_admitted(&s, 6 * KIB, 1, 50);
    for (int i = 0; i < 100; i++) {
        assert_admitted(&s, 6 * KIB, 1, 200 + 150.0 * i);
    }
    s = stream_start(cfg);
    assert_admitted(&s, 4 * KIB, 2, 0);         /* as many as of any smaller size */
    assert_admitted(&s, 1, 1, 100);
    assert_admitted(&s, 0, 1, 200);
}

static void an_empty_request_is_one_operation_and_no_bytes(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, 100, 0, 1 },
                                   { THROTTLE_BPS_TOTAL, 1, 0, 1 }));

    (void)state;
    assert_admitted(&s, 0, 11, 0);
    assert_admitted(&s, 0, 1, 10);
}

static void the_longest_of_four_waits_counts(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_BPS_TOTAL, 1000, 0, 1 },
                                   { THROTTLE_OPS_WRITE, 10, 0, 1 },
                                   { THROTTLE_OPS_READ, 1000, 0, 1 }));

    (void)state;
    admit(&s, true, 150);                       /* 50 above: 50 ms of bytes */
    assert_int_equal(throttle_wait_ns(&s.tb, true, 0), 50 * MS);
    admit(&s, true, 0);                         /* at 50 ms; now 1.5 operations, 0.5 above */
    assert_int_equal(throttle_wait_ns(&s.tb, true, s.now), 50 * MS);
    admit(&s, true, 0);
    assert_int_equal(throttle_wait_ns(&s.tb, true, s.now), 100 * MS);
    assert_int_equal(throttle_wait_ns(&s.tb, false, s.now), 0);
}

static void directions_share_only_the_totals(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_BPS_READ, 1000, 0, 1 },
                                   { THROTTLE_OPS_TOTAL, 10, 0, 1 }));

    (void)state;
    account(&s.tb, true, 1000000, 0);
    assert_int_equal(throttle_wait_ns(&s.tb, false, 0), 0);
    account(&s.tb, true, 1000000, 0);
    assert_int_equal(throttle_wait_ns(&s.tb, false, 0), 100 * MS);
    assert_int_equal(throttle_wait_ns(&s.tb, true, 0), 100 * MS);
    account(&s.tb, false, 1100, 0);
    assert_int_equal(throttle_wait_ns(&s.tb, false, 0), 1000 * MS);
    assert_int_equal(throttle_wait_ns(&s.tb, true, 0), 200 * MS);
}

/* Timers are late, but what leaks meanwhile lets the next ones go sooner. */
static void late_timers_lose_nothing(void **state)
{
    static const double rates[] = { 10, 1000, 50000 };

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, rates[i], 0, 1 }));
        unsigned random = 1;
        int64_t n = 0;

        while (s.now < 100 * SECOND) {
            int64_t wait = throttle_wait_ns(&s.tb, true, s.now);

            random = random * 1103515245 + 12345;
            s.now += wait ? wait + (random >> 16) % (5 * MS) : 0;
            account(&s.tb, true, 0, s.now);
            n++;
        }
        assert_in_range(n, (int64_t)(100 * rates[i]), (int64_t)(100.2 * rates[i] + 2));
    }
}

static void extreme_rates_do_not_overflow(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_BPS_TOTAL, 1e-9, 0, 1 }));

    (void)state;
    admit(&s, true, UINT64_C(1) << 31);
    assert_true(throttle_wait_ns(&s.tb, true, 0) >= INT64_C(1000000000000000000));
    s = stream_start(CONFIG({ THROTTLE_BPS_TOTAL, 1e15, 0, 1 }));
    for (int i = 0; i < 100000; i++) {
        admit(&s, true, 2147483136);
    }
    /* 2.1e14 bytes, less the 1e14 that may go at once */
    assert_in_range(s.now, 114 * MS, 115 * MS);
}

static void time_that_goes_back_leaks_nothing(void **state)
{
    Stream s = stream_start(CONFIG({ THROTTLE_OPS_TOTAL, 10, 0, 1 }));

    (void)state;
    s.now = SECOND;
    admit(&s, true, 0);
    admit(&s, true, 0);
    assert_int_equal(throttle_wait_ns(&s.tb, true, 0), 100 * MS);
    assert_int_equal(throttle_wait_ns(&s.tb, true, 50 * MS), 50 * MS);
}

static void new_limits_start_with_empty_buckets(void **state)
{
    ThrottleConfig cfg = CONFIG({ THROTTLE_OPS_TOTAL, 10, 100, 3 });
    ThrottleBuckets tb;

    (void)state;
    cfg.buckets[THROTTLE_OPS_TOTAL].level = 1e9;
    cfg.buckets[THROTTLE_OPS_TOTAL].burst_level = 1e9;
    throttle_start(&tb, &cfg, 5 * SECOND);
    assert_int_equal(throttle_wait_ns(&tb, true, 5 * SECOND), 0);
}

/* ---- configurations ---- */

static void a_fresh_configuration_limits_nothing(void **state)
{
    ThrottleConfig cfg;

    (void)state;
    memset(&cfg, 0xff, sizeof(cfg));
    throttle_config_init(&cfg);
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        assert_near(cfg.buckets[i].avg, 0);
        assert_near(cfg.buckets[i].max, 0);
        assert_near(cfg.buckets[i].level, 0);
        assert_near(cfg.buckets[i].burst_level, 0);
        assert_int_equal(cfg.buckets[i].burst_length, 1);
    }
    assert_int_equal(cfg.op_size, 0);
    assert_false(throttle_enabled(&cfg));
    assert_true(throttle_is_valid(&cfg, NULL));
}

static void any_average_enables(void **state)
{
    (void)state;
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        ThrottleConfig cfg = CONFIG({ (BucketType)i, 1, 0, 1 });

        assert_true(throttle_enabled(&cfg));
        cfg = CONFIG({ (BucketType)i, 0, 100, 1 });
        assert_false(throttle_enabled(&cfg));
    }
}

static void assert_valid(ThrottleConfig cfg)
{
    Error *err = NULL;

    if (!throttle_is_valid(&cfg, &err)) {
        fail_msg("should be valid: %s", error_get_pretty(err));
    }
}

static void assert_invalid(ThrottleConfig cfg, const char *what)
{
    Error *err = NULL;

    assert_false(throttle_is_valid(&cfg, NULL));
    assert_false(throttle_is_valid(&cfg, &err));
    if (!strstr(error_get_pretty(err), what)) {
        fail_msg("'%s' does not say '%s'", error_get_pretty(err), what);
    }
    error_free(err);
}

static void total_and_one_direction_exclude_each_other(void **state)
{
    static const char *const names[] = { "bps-", "", "", "iops-" };

    (void)state;
    for (int total = THROTTLE_BPS_TOTAL; total <= THROTTLE_OPS_TOTAL; total += 3) {
        for (int one = total + 1; one <= total + 2; one++) {
            assert_invalid(CONFIG({ (BucketType)total, 5, 0, 1 }, { (BucketType)one, 5, 0, 1 }),
                           names[total]);
            assert_invalid(CONFIG({ (BucketType)total, 5, 5, 1 }, { (BucketType)one, 0, 5, 1 }),
                           names[total]);
        }
        assert_valid(CONFIG({ (BucketType)(total + 1), 5, 6, 1 },
                            { (BucketType)(total + 2), 5, 6, 1 }));
    }
    assert_valid(CONFIG({ THROTTLE_BPS_TOTAL, 5, 6, 2 }, { THROTTLE_OPS_READ, 5, 6, 2 },
                        { THROTTLE_OPS_WRITE, 5, 6, 2 }));
}

static void rates_have_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        BucketType type = (BucketType)i;

        assert_invalid(CONFIG({ type, -1, 0, 1 }), "from 0 to");
        assert_invalid(CONFIG({ type, 1, -1, 1 }), "-max must be from 0 to");
        assert_invalid(CONFIG({ type, 1e15 + 1, 0, 1 }), "from 0 to");
        assert_invalid(CONFIG({ type, 1, 1e15 + 1, 1 }), "from 0 to");
        assert_invalid(CONFIG({ type, NAN, 0, 1 }), "from 0 to");
        assert_invalid(CONFIG({ type, INFINITY, 0, 1 }), "from 0 to");
        assert_valid(CONFIG({ type, THROTTLE_VALUE_MAX, THROTTLE_VALUE_MAX, 1 }));
    }
}

static void bursts_must_make_sense(void **state)
{
    ThrottleConfig cfg = CONFIG({ THROTTLE_BPS_READ, 5, 0, 1 });

    (void)state;
    cfg.buckets[THROTTLE_OPS_WRITE].burst_length = 0;
    assert_invalid(cfg, "iops-write-max-length must be 1");
    assert_invalid(CONFIG({ THROTTLE_BPS_READ, 5, 0, 2 }), "set bps-read-max");
    assert_invalid(CONFIG({ THROTTLE_BPS_READ, 0, 5, 1 }), "set bps-read");
    assert_invalid(CONFIG({ THROTTLE_BPS_READ, 5, 4.9, 1 }), "must not be below bps-read");
    assert_valid(CONFIG({ THROTTLE_BPS_READ, 5, 5, 1 }));
    assert_valid(CONFIG({ THROTTLE_OPS_READ, 1e12, 1e12, 1000 }));
    assert_invalid(CONFIG({ THROTTLE_OPS_READ, 1e12, 1e12, 1001 }), "too long");
}

static void iops_size_needs_iops(void **state)
{
    ThrottleConfig cfg = CONFIG({ THROTTLE_BPS_TOTAL, 5, 0, 1 });

    (void)state;
    cfg.op_size = 4096;
    assert_invalid(cfg, "iops-size");
    for (int i = THROTTLE_OPS_TOTAL; i <= THROTTLE_OPS_WRITE; i++) {
        cfg = CONFIG({ (BucketType)i, 5, 0, 1 });
        cfg.op_size = 4096;
        assert_valid(cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_waits_for_what_is_above_its_capacity),
        cmocka_unit_test(without_a_burst_the_capacity_is_100_ms),
        cmocka_unit_test(a_long_burst_is_bounded_in_length_and_speed),
        cmocka_unit_test(a_bucket_leaks_down_to_nothing),
        cmocka_unit_test(the_burst_level_leaks_at_max),
        cmocka_unit_test(iops_go_evenly_after_100_ms_worth),
        cmocka_unit_test(bytes_go_evenly),
        cmocka_unit_test(a_large_request_leaves_a_debt),
        cmocka_unit_test(a_burst_goes_at_once),
        cmocka_unit_test(a_long_burst_goes_at_its_own_speed),
        cmocka_unit_test(a_request_larger_than_iops_size_counts_more),
        cmocka_unit_test(an_empty_request_is_one_operation_and_no_bytes),
        cmocka_unit_test(the_longest_of_four_waits_counts),
        cmocka_unit_test(directions_share_only_the_totals),
        cmocka_unit_test(late_timers_lose_nothing),
        cmocka_unit_test(extreme_rates_do_not_overflow),
        cmocka_unit_test(time_that_goes_back_leaks_nothing),
        cmocka_unit_test(new_limits_start_with_empty_buckets),
        cmocka_unit_test(a_fresh_configuration_limits_nothing),
        cmocka_unit_test(any_average_enables),
        cmocka_unit_test(total_and_one_direction_exclude_each_other),
        cmocka_unit_test(rates_have_bounds),
        cmocka_unit_test(bursts_must_make_sense),
        cmocka_unit_test(iops_size_needs_iops),
    };

    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
