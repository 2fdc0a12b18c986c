/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Overlapping requests: who waits for whom. */
#include "graph-test.h"

#define RW (BDRV_O_RDWR | BDRV_O_CACHE_WB)

static BlockDriverState *open_disk(void)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\"}", RW);

    disk.n_log = 0;
    disk.hold = true;
    return bs;
}

static Request write_of(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    static uint8_t ones[8192];

    memset(ones, 1, sizeof(ones));
    return (Request){ .fn = do_write, .bs = bs, .offset = offset, .bytes = bytes, .buf = ones };
}

static void finish_all(Request *reqs[], int n)
{
    disk.hold = false;
    while (disk.n_held > 0) {
        disk_release();
    }
    for (int i = 0; i < n; i++) {
        assert_int_equal(request_finish(reqs[i]), 0);
    }
}

static void read_modify_writes_of_a_block_take_turns(void **state)
{
    BlockDriverState *bs = open_disk();
    Request a = write_of(bs, 10, 10), b = write_of(bs, 30, 10);

    (void)state;
    request_start(&a);
    request_start(&b);
    assert_int_equal(disk.n_log, 2);     /* a has read and is writing; b has not read yet */
    assert_int_equal(disk.n_held, 1);
    assert_int_equal(bs->serialising, 2);
    finish_all((Request *[]){ &a, &b }, 2);
    assert_int_equal(disk.n_log, 4);
    assert_int_equal(disk.data[10], 1);
    assert_int_equal(disk.data[30], 1);
    assert_int_equal(disk.data[20], 0);
    assert_int_equal(bs->serialising, 0);
    bdrv_unref(bs);
}

static void aligned_request_waits_for_read_modify_write(void **state)
{
    BlockDriverState *bs = open_disk();
    uint8_t buf[1024];
    Request a = write_of(bs, 10, 10);
    Request b = { .fn = do_read, .bs = bs, .offset = 0, .bytes = 1024, .buf = buf };
    Request c = b;

    (void)state;
    c.flags = BDRV_REQ_NO_SERIALISING;
    request_start(&a);
    request_start(&b);
    assert_false(b.done);
    assert_int_equal(disk.n_log, 2);
    request_start(&c);
    assert_true(c.done);
    assert_int_equal(disk.n_log, 3);
    finish_all((Request *[]){ &a, &b }, 2);
    assert_int_equal(buf[10], 1);
    bdrv_unref(bs);
}

static void read_modify_write_waits_for_aligned_write(void **state)
{
    BlockDriverState *bs = open_disk();
    Request a = write_of(bs, 512, 1024), b = write_of(bs, 1000, 10);
    Request z = { .fn = do_zero, .bs = bs, .offset = 1100, .bytes = 10 };

    (void)state;
    request_start(&a);
    request_start(&b);
    request_start(&z);
    assert_int_equal(disk.n_log, 1);
    finish_all((Request *[]){ &a, &b, &z }, 3);
    assert_int_equal(disk.data[1005], 1);
    assert_int_equal(disk.data[1100], 0);
    assert_int_equal(disk.data[1099], 1);
    bdrv_unref(bs);
}

static void others_run_side_by_side(void **state)
{
    BlockDriverState *bs = open_disk();
    Request a = write_of(bs, 0, 1024), b = write_of(bs, 512, 1024);   /* aligned: may overlap */
    Request c = write_of(bs, 4000, 10), d = write_of(bs, 5000, 10);   /* elsewhere */

    (void)state;
    request_start(&a);
    request_start(&b);
    request_start(&c);
    request_start(&d);
    assert_int_equal(disk.n_held, 4);
    finish_all((Request *[]){ &a, &b, &c, &d }, 4);
    bdrv_unref(bs);
}

/* b waits for a; c overlaps b alone, so it must not wait for b, or chains would close to rings. */
static void nobody_waits_for_one_who_waits(void **state)
{
    BlockDriverState *bs = open_disk();
    Request a = write_of(bs, 10, 10), b = write_of(bs, 500, 100), c = write_of(bs, 1000, 10);

    (void)state;
    request_start(&a);
    request_start(&b);
    request_start(&c);
    assert_int_equal(disk.n_held, 2);    /* a and c */
    disk_release();                      /* a ends; b finds c at work */
    assert_int_equal(request_finish(&a), 0);
    aio_poll(qemu_get_current_aio_context(), false);
    assert_false(b.done);
    assert_int_equal(disk.n_held, 1);
    finish_all((Request *[]){ &b, &c }, 2);
    bdrv_unref(bs);
}

static void all_who_wait_go_on(void **state)
{
    BlockDriverState *bs = open_disk();
    Request reqs[12];

    (void)state;
    for (int i = 0; i < 12; i++) {
        reqs[i] = write_of(bs, i, 1);
        request_start(&reqs[i]);
    }
    assert_int_equal(disk.n_held, 1);
    disk.hold = false;
    disk_release();
    for (int i = 0; i < 12; i++) {
        assert_int_equal(request_finish(&reqs[i]), 0);
        assert_int_equal(disk.data[i], 1);
    }
    bdrv_unref(bs);
}

/* ---- across threads: neighbouring bytes, so that all meet in the same blocks ---- */

#define THREADS 3
#define PER_THREAD 6
#define LANES (THREADS * PER_THREAD)
#define ROUNDS 200

typedef struct Lane {
    BlockDriverState *bs;
    int number;
    atomic_int *running;
} Lane;

static void coroutine_fn lane_entry(void *opaque)
{
    Lane *lane = opaque;

    for (int round = 0; round < ROUNDS; round++) {
        uint8_t value = 1 + round % 100;
        Request req = { .fn = do_write, .bs = lane->bs, .bytes = 1, .buf = &value };

        req.offset = (round % 8) * LANES + lane->number;
        if (round % 5 == 4) {
            req.fn = do_zero;
        }
        assert_int_equal(req.fn(&req), 0);
    }
    atomic_fetch_sub(lane->running, 1);
    bdrv_wait_kick();
}

static bool is_positive(void *opaque)
{
    return atomic_load((atomic_int *)opaque) > 0;
}

static void assert_lanes_hold(void)
{
    for (int slot = 0; slot < 8; slot++) {
        int last = ROUNDS - 8 + slot;
        int expected = last % 5 == 4 ? 0 : 1 + last % 100;

        for (int lane = 0; lane < LANES; lane++) {
            assert_int_equal(disk.data[slot * LANES + lane], expected);
        }
    }
}

static void no_byte_is_lost_among_threads(void **state)
{
    BlockDriverState *bs = open_disk();
    LoopThread loops[THREADS];
    Lane lanes[LANES];
    atomic_int running = LANES;

    (void)state;
    disk.hold = false;
    disk.yield = true;
    for (int i = 0; i < THREADS; i++) {
        loop_thread_start(&loops[i]);
    }
    for (int i = 0; i < LANES; i++) {
        lanes[i] = (Lane){ .bs = bs, .number = i, .running = &running };
        aio_co_start(loops[i % THREADS].ctx, qemu_coroutine_create(lane_entry), &lanes[i]);
    }
    bdrv_wait_while(qemu_get_aio_context(), is_positive, &running);
    for (int i = 0; i < THREADS; i++) {
        loop_thread_stop(&loops[i]);
    }
    assert_lanes_hold();
    assert_int_equal(bs->serialising, 0);
    bdrv_unref(bs);
}

/* Synchronous calls from plain threads, one lane each. */
static void *plain_thread(void *opaque)
{
    Lane *lane = opaque;

    for (int round = 0; round < ROUNDS; round++) {
        uint8_t value = 1 + round % 100;
        int64_t offset = (round % 8) * LANES + lane->number;

        if (round % 5 == 4) {
            value = 0;
        }
        assert_int_equal(bdrv_pwrite(lane->bs, offset, 1, &value), 0);
    }
    return NULL;
}

static void no_byte_is_lost_among_plain_threads(void **state)
{
    BlockDriverState *bs = open_disk();
    pthread_t threads[LANES];
    Lane lanes[LANES];

    (void)state;
    disk.hold = false;
    disk.yield = true;
    for (int i = 0; i < LANES; i++) {
        lanes[i] = (Lane){ .bs = bs, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, plain_thread, &lanes[i]), 0);
    }
    for (int i = 0; i < LANES; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_lanes_hold();
    bdrv_unref(bs);
}

#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read_modify_writes_of_a_block_take_turns),
        TEST(aligned_request_waits_for_read_modify_write),
        TEST(read_modify_write_waits_for_aligned_write),
        TEST(others_run_side_by_side),
        TEST(nobody_waits_for_one_who_waits),
        TEST(all_who_wait_go_on),
        TEST(no_byte_is_lost_among_threads),
        TEST(no_byte_is_lost_among_plain_threads),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
