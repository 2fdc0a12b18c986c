/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of throttle groups that are no backends.  The tests own the clock. */
#include "blk-test.h"
#include "stepped-clock.h"

#define KIB 1024
#define MIB (1024 * 1024)

static int setup(void **state)
{
    medium_reset(state);
    stepped_clock_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stepped_clock_stop();
    return 0;
}

/* ---- groups ---- */

static ThrottleConfig limit(BucketType type, double avg)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.buckets[type].avg = avg;
    return cfg;
}

static ThrottleState *new_group(const char *name, ThrottleConfig cfg)
{
    ThrottleState *group = throttle_group_incref(name);

    throttle_group_config(group, &cfg);
    return group;
}

static ThrottleGroupMember *new_member(ThrottleState *group)
{
    ThrottleGroupMember *tgm = throttle_group_member_new();

    throttle_group_register_tgm(tgm, group);
    return tgm;
}

/* ---- who makes requests, one after the other ---- */

typedef struct User {
    ThrottleGroupMember *tgm;
    uint64_t bytes;
    bool is_write, in_parts;
    int left;
    int done;
    int ret;
    int64_t at, waited_ns;      /* the last one */
    uint64_t total;
    Coroutine *co;
} User;

static void coroutine_fn user_run(void *opaque)
{
    User *u = opaque;

    u->co = qemu_coroutine_self();
    while (u->left > 0) {
        u->ret = u->in_parts
                 ? throttle_group_co_io_limits_intercept_parts(u->tgm, u->bytes, u->is_write,
                                                               &u->waited_ns)
                 : throttle_group_co_io_limits_intercept(u->tgm, u->bytes, u->is_write);
        u->left--;
        u->done++;
        u->at = clock_ns;
        u->total += u->bytes;
    }
}

static void start(User *u)
{
    qemu_coroutine_enter(qemu_coroutine_create(user_run), u);
}

static void use_up(ThrottleGroupMember *tgm, uint64_t bytes)
{
    User u = { .tgm = tgm, .bytes = bytes, .left = 1 };

    start(&u);
    assert_int_equal(u.done, 1);
}

/* ---- turns ---- */

/* A member and a backend take turns, under limits that either way of asking shows. */
static void backends_are_in_the_same_groups(void **state)
{
    BlockBackend *blk = open_disk();
    ThrottleState *group;
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, 100);
    User u = { .bytes = 512, .left = 1000 };
    uint8_t buf[512];

    (void)state;
    blk_io_limits_enable(blk, "g");
    blk_set_io_limits(blk, &cfg);
    group = throttle_group_incref("g");
    assert_string_equal(throttle_state_get_name(group), "g");
    throttle_state_get_config(group, &cfg);
    assert_true(throttle_enabled(&cfg));
    u.tgm = new_member(group);
    start(&u);
    assert_int_equal(u.done, 11);
    cfg = limit(THROTTLE_OPS_TOTAL, 7);
    throttle_group_config(group, &cfg);
    throttle_group_get_config(blk, &cfg);
    assert_true(cfg.buckets[THROTTLE_OPS_TOTAL].avg < 8);
    blk_io_limits_disable(blk);
    assert_int_equal(blk_pread(blk, 0, buf, sizeof(buf)), 512);
    throttle_state_get_config(group, &cfg);
    assert_true(throttle_enabled(&cfg));        /* the member has it still */
    u.left = 1;
    throttle_group_unregister_tgm(u.tgm);
    throttle_group_unref(group);
    group = throttle_group_incref("g");         /* another one */
    throttle_state_get_config(group, &cfg);
    assert_false(throttle_enabled(&cfg));
    throttle_group_unref(group);
    throttle_group_member_free(u.tgm);
    blk_unref(blk);
}

static void groups_without_a_name_are_nobody_elses(void **state)
{
    ThrottleState *a = new_group(NULL, limit(THROTTLE_OPS_TOTAL, 1));
    ThrottleState *b = throttle_group_incref("");
    ThrottleConfig cfg;

    (void)state;
    throttle_state_get_config(b, &cfg);
    assert_false(throttle_enabled(&cfg));
    assert_string_equal(throttle_state_get_name(a), "");
    throttle_group_unref(a);
    throttle_group_unref(b);
    throttle_group_unref(NULL);
}

/* Sixteen wait on one side, one at a time on the other. */
static void depth_does_not_matter(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_TOTAL, MIB));
    ThrottleGroupMember *deep = new_member(group);
    User one = { .tgm = new_member(group), .bytes = 4 * KIB, .in_parts = true, .left = 100000 };
    User many[16];
    uint64_t total = 0;

    (void)state;
    for (int i = 0; i < 16; i++) {
        many[i] = (User){ .tgm = deep, .bytes = 4 * KIB, .in_parts = true, .left = 100000 };
        start(&many[i]);
    }
    start(&one);
    run_until(10 * SECOND);
    for (int i = 0; i < 16; i++) {
        total += many[i].total;
        many[i].left = 1;
    }
    one.left = 1;
    assert_in_range(total + one.total, 10 * MIB - 64 * KIB, 10 * MIB + 256 * KIB);
    assert_in_range(one.total, total - 256 * KIB, total);
    throttle_group_member_free(deep);
    throttle_group_member_free(one.tgm);
    throttle_group_unref(group);
}

/* ---- parts ---- */

/* 100 ms' worth when the bucket is empty, as much when it is full, and then 100 ms each. */
static void a_large_request_takes_its_time(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_READ, 4 * MIB));
    User u = { .tgm = new_member(group), .bytes = 16 * MIB, .in_parts = true, .left = 1 };
    User whole = { .tgm = new_member(group), .bytes = 16 * MIB, .left = 1 };

    (void)state;
    start(&u);
    run_until(3799 * MS);
    assert_int_equal(u.done, 0);
    run_until(3801 * MS);
    assert_int_equal(u.done, 1);
    assert_int_equal(u.waited_ns, u.at);
    run_until(4000 * MS);
    start(&whole);              /* and who does not want that passes as ever */
    assert_int_equal(whole.done, 1);
    throttle_group_member_free(u.tgm);
    throttle_group_member_free(whole.tgm);
    throttle_group_unref(group);
}

/* As much in bytes as in turns. */
static void others_have_turns_between_parts(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_READ, 4 * MIB));
    User large = { .tgm = new_member(group), .bytes = 16 * MIB, .in_parts = true, .left = 1 };
    User small = { .tgm = new_member(group), .bytes = 4 * KIB, .in_parts = true, .left = 100000 };

    (void)state;
    start(&large);
    start(&small);
    run_until(4000 * MS);
    assert_int_equal(large.done, 0);
    assert_in_range(small.total, 7 * MIB, 9 * MIB);
    run_until(7700 * MS);
    assert_int_equal(large.done, 0);
    run_until(7900 * MS);
    assert_int_equal(large.done, 1);
    run_until(8000 * MS);
    small.left = 1;
    throttle_group_member_free(large.tgm);
    throttle_group_member_free(small.tgm);
    throttle_group_unref(group);
}

/* Behind a large request of the same member wait the next ones, in order. */
static void a_member_keeps_its_order(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_READ, 4 * MIB));
    User large = { .tgm = new_member(group), .bytes = 4 * MIB, .in_parts = true, .left = 1 };
    User small = { .tgm = large.tgm, .bytes = 512, .in_parts = true, .left = 1 };

    (void)state;
    start(&large);
    start(&small);
    run_until(700 * MS);
    assert_int_equal(large.done + small.done, 0);
    run_until(1000 * MS);
    assert_true(large.at < small.at);
    throttle_group_member_free(large.tgm);
    throttle_group_unref(group);
}

static void in_parts_or_not_it_is_one_operation(void **state)
{
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, 10);
    ThrottleState *group;
    User u = { .bytes = 4 * MIB, .in_parts = true, .left = 3 };

    (void)state;
    cfg.buckets[THROTTLE_BPS_TOTAL].avg = 100 * MIB;
    group = new_group(NULL, cfg);
    u.tgm = new_member(group);
    start(&u);
    assert_int_equal(u.done, 2);        /* 1 is free, and one more may go on top */
    run_until(99 * MS);
    assert_int_equal(u.done, 2);
    run_until(101 * MS);
    assert_int_equal(u.done, 3);
    throttle_group_member_free(u.tgm);
    throttle_group_unref(group);
}

static void operations_of_a_size_come_in_parts(void **state)
{
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, 100);
    ThrottleState *group;
    User u = { .bytes = 400 * KIB, .in_parts = true, .left = 1 };

    (void)state;
    cfg.op_size = 4 * KIB;
    group = new_group(NULL, cfg);
    u.tgm = new_member(group);
    start(&u);                  /* 100 operations: 10 are free, 10 more go on top */
    run_until(799 * MS);
    assert_int_equal(u.done, 0);
    run_until(801 * MS);
    assert_int_equal(u.done, 1);
    throttle_group_member_free(u.tgm);
    throttle_group_unref(group);
}

static void a_burst_goes_at_once_and_no_more(void **state)
{
    ThrottleConfig cfg = limit(THROTTLE_BPS_TOTAL, MIB);
    ThrottleState *group;
    User u = { .bytes = 8 * MIB, .in_parts = true, .left = 2 };

    (void)state;
    cfg.buckets[THROTTLE_BPS_TOTAL].max = 8 * MIB;
    group = new_group(NULL, cfg);
    u.tgm = new_member(group);
    start(&u);
    assert_int_equal(u.done, 1);
    assert_int_equal(u.waited_ns, 0);
    run_until(7899 * MS);       /* the burst is over: as long as it takes, less 100 ms */
    assert_int_equal(u.done, 1);
    run_until(7901 * MS);
    assert_int_equal(u.done, 2);
    throttle_group_member_free(u.tgm);
    throttle_group_unref(group);
}

static void the_smallest_limit_makes_progress(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_TOTAL, 1));
    User u = { .tgm = new_member(group), .bytes = 3, .in_parts = true, .left = 1 };

    (void)state;
    start(&u);                  /* one byte above the tenth that is free, and another one ... */
    run_until_in_steps(1799 * MS, MS);
    assert_int_equal(u.done, 0);
    run_until_in_steps(1901 * MS, MS);
    assert_int_equal(u.done, 1);
    throttle_group_member_free(u.tgm);
    throttle_group_unref(group);
}

/* ---- changes while requests wait ---- */

static void new_limits_hold_for_those_who_wait(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_TOTAL, 1));
    User a = { .tgm = new_member(group), .bytes = 1000, .in_parts = true, .left = 1 };
    User b = { .tgm = new_member(group), .bytes = 1000, .left = 1 };
    ThrottleConfig cfg;

    (void)state;
    use_up(b.tgm, 1);
    start(&a);
    start(&b);
    run_until(SECOND / 10);
    assert_int_equal(a.done + b.done, 0);
    cfg = limit(THROTTLE_BPS_TOTAL, 4000);      /* a's 400 + 400, wait, b's 1000, wait, the rest */
    throttle_group_config(group, &cfg);
    assert_int_equal(a.done + b.done, 0);
    run_until(SECOND);
    assert_int_equal(a.done + b.done, 2);
    start(&(User){ .tgm = a.tgm, .bytes = 100000, .left = 1 });
    a.left = b.left = 1;
    start(&a);
    start(&b);
    assert_int_equal(a.done + b.done, 2);
    throttle_config_init(&cfg);
    throttle_group_config(group, &cfg);
    assert_int_equal(a.done + b.done, 4);
    throttle_group_member_free(a.tgm);
    throttle_group_member_free(b.tgm);
    throttle_group_unref(group);
}

static void who_moves_takes_his_queue_along(void **state)
{
    ThrottleState *from = new_group(NULL, limit(THROTTLE_OPS_TOTAL, 1));
    ThrottleState *to = new_group(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    ThrottleGroupMember *other = new_member(from), *there = new_member(to);
    User a = { .tgm = new_member(from), .bytes = 512, .left = 100 };
    User b = { .tgm = other, .bytes = 512, .left = 1 };

    (void)state;
    use_up(other, 512);
    start(&a);                  /* and has the timer */
    start(&b);
    use_up(there, 512);
    throttle_group_register_tgm(a.tgm, to);
    throttle_group_register_tgm(a.tgm, to);     /* there already */
    assert_int_equal(a.done, 10);
    run_until(50 * MS);
    assert_int_equal(a.done, 15);
    assert_int_equal(b.done, 0);
    run_until(SECOND);
    assert_int_equal(b.done, 1);                /* the timer was handed on */
    a.left = 1;
    throttle_group_member_free(a.tgm);
    throttle_group_member_free(other);
    throttle_group_member_free(there);
    throttle_group_unref(from);
    throttle_group_unref(to);
}

static void who_leaves_lets_go(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_TOTAL, 1));
    User u = { .tgm = new_member(group), .bytes = MIB, .in_parts = true, .left = 3 };

    (void)state;
    start(&u);
    assert_int_equal(u.done, 0);
    throttle_group_restart_tgm(u.tgm);          /* this one; the next one waits */
    assert_int_equal(u.done, 1);
    run_until(SECOND);
    assert_int_equal(u.done, 1);
    throttle_group_unregister_tgm(u.tgm);       /* and who comes later does not wait at all */
    assert_int_equal(u.done, 3);
    throttle_group_unregister_tgm(u.tgm);
    throttle_group_restart_tgm(u.tgm);
    throttle_group_member_free(u.tgm);
    throttle_group_unref(group);
}

/* What has had its turn counts, what has not does not. */
static void cancelling_between_parts(void **state)
{
    ThrottleState *group = new_group(NULL, limit(THROTTLE_BPS_TOTAL, 10000));
    User large = { .tgm = new_member(group), .bytes = MIB, .in_parts = true, .left = 1 };
    User next = { .tgm = large.tgm, .bytes = 1000, .in_parts = true, .left = 1 };

    (void)state;
    start(&large);
    start(&next);
    run_until(150 * MS);
    assert_int_equal(large.done + next.done, 0);
    assert_true(throttle_group_cancel_tgm(large.tgm, large.co));
    assert_int_equal(large.ret, -ECANCELED);
    assert_false(throttle_group_cancel_tgm(large.tgm, large.co));
    run_until(199 * MS);
    assert_int_equal(next.done, 0);
    run_until(201 * MS);
    assert_int_equal(next.done, 1);
    assert_int_equal(next.ret, 0);
    throttle_group_unregister_tgm(large.tgm);
    assert_false(throttle_group_cancel_tgm(large.tgm, large.co));
    throttle_group_member_free(large.tgm);
    throttle_group_unref(group);
}

static void wrong_limits_are_a_programming_error(void **state)
{
    ThrottleState *group = throttle_group_incref(NULL);
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, -1);

    (void)state;
    EXPECT_ABORT(throttle_group_config(group, &cfg));
    throttle_group_unref(group);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(backends_are_in_the_same_groups),
        TEST(groups_without_a_name_are_nobody_elses),
        TEST(depth_does_not_matter),
        TEST(a_large_request_takes_its_time),
        TEST(others_have_turns_between_parts),
        TEST(a_member_keeps_its_order),
        TEST(in_parts_or_not_it_is_one_operation),
        TEST(operations_of_a_size_come_in_parts),
        TEST(a_burst_goes_at_once_and_no_more),
        TEST(the_smallest_limit_makes_progress),
        TEST(new_limits_hold_for_those_who_wait),
        TEST(who_moves_takes_his_queue_along),
        TEST(who_leaves_lets_go),
        TEST(cancelling_between_parts),
        TEST(wrong_limits_are_a_programming_error),
    };

    return cmocka_run_group_tests_name("throttle-members", tests, blk_test_setup, NULL);
}
