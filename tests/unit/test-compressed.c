/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F93, blk_write_compressed(): order of its checks, the driver's rules, and what a write does. */
#include "testfmt.h"

static uint8_t zeroes[CLUSTER], mixed[CLUSTER];

static int compressed(BlockBackend *blk, int64_t cluster, const uint8_t *buf)
{
    return blk_write_compressed(blk, cluster * CLUSTER / 512, buf, CLUSTER / 512);
}

static void checks_come_in_order(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    assert_int_equal(blk_write_compressed(blk, -1, zeroes, 8), -EIO);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, -1), -EIO);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, 8), -ENOMEDIUM);
    blk_unref(blk);

    /* A driver that cannot, then read-only, then its own rules. */
    blk = open_as("testplain", "top", 0);
    assert_int_equal(blk_write_compressed(blk, 32, zeroes, 8), -EIO);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, 8), -ENOTSUP);
    blk_unref(blk);
    blk = open_as("testplain", "top", RW);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, 8), -ENOTSUP);
    blk_unref(blk);
    blk = open_image("top", BDRV_O_CACHE_WB);
    assert_int_equal(blk_write_compressed(blk, 32, zeroes, 8), -EIO);
    assert_int_equal(blk_write_compressed(blk, 1, zeroes, 1), -EPERM);
    blk_unref(blk);
    blk = open_image("top", RW | BDRV_O_INACTIVE);
    assert_int_equal(compressed(blk, 0, zeroes), -EPERM);
    assert_int_equal(events_of("top compressed"), 0);
    blk_unref(blk);
}

static void a_call_is_a_cluster(void **state)
{
    TestImage *top = image_make("top", 3 * CLUSTER + 1024, NULL);
    BlockBackend *blk = open_image("top", RW);

    (void)state;
    memset(zeroes, 0, sizeof(zeroes));
    memset(mixed, 1, sizeof(mixed));
    mixed[7] = 2;
    assert_int_equal(blk_write_compressed(blk, 1, zeroes, 8), -EINVAL);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, 7), -EINVAL);
    assert_int_equal(blk_write_compressed(blk, 0, zeroes, 9), -EINVAL);
    assert_map(top, "----");

    assert_int_equal(compressed(blk, 0, zeroes), 0);
    assert_int_equal(compressed(blk, 1, mixed), 0);       /* does not shrink: plain */
    assert_int_equal(blk_write_compressed(blk, 24, mixed, 2), 0);   /* the last, partial one */
    assert_map(top, "CD-D");
    assert_read(blk, 3 * CLUSTER, 7, 1);
    assert_int_equal(top->data[3 * CLUSTER + 1024], 0);
    assert_int_equal(compressed(blk, 0, zeroes), -EIO);   /* there already */
    assert_int_equal(blk_getlength(blk), 3 * CLUSTER + 1024);
    blk_unref(blk);
}

static void no_sectors_end_the_series(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    blk = open_image("top", BDRV_O_RDWR);
    events_clear();
    assert_int_equal(blk_write_compressed(blk, 0, NULL, 0), 0);
    assert_events("top compressed 0 0\n");
    blk_set_allow_write_beyond_eof(blk, true);
    assert_int_equal(blk_write_compressed(blk, 64, NULL, 0), 0);
    assert_int_equal(blk_getlength(blk), 4 * CLUSTER);
    blk_unref(blk);
}

static void write_cache_off_flushes_after_it(void **state)
{
    TestImage *top = image_make("top", 4 * CLUSTER, NULL);
    BlockBackend *blk = open_image("top", BDRV_O_RDWR);

    (void)state;
    events_clear();
    assert_int_equal(compressed(blk, 0, zeroes), 0);
    assert_events("top compressed 0 4096\ntop flush\n");
    top->flush_error = -ENOSPC;
    assert_int_equal(compressed(blk, 1, zeroes), -ENOSPC);
    top->flush_error = 0;

    /* A failed write is not flushed. */
    events_clear();
    top->compress_error = -EDQUOT;
    assert_int_equal(compressed(blk, 2, zeroes), -EDQUOT);
    assert_events("top compressed 8192 4096\n");

    blk_set_enable_write_cache(blk, true);
    top->compress_error = 0;
    events_clear();
    assert_int_equal(compressed(blk, 3, zeroes), 0);
    assert_events("top compressed 12288 4096\n");
    blk_unref(blk);
}

/* ---- limits ---- */

static int64_t now_ns;

static int64_t stepped_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static void advance_clock(void *opaque)
{
    (void)opaque;
    now_ns += 1000000000;
    aio_notify(qemu_get_aio_context());
}

static void it_counts_as_a_write(void **state)
{
    ThrottleConfig cfg;
    BlockBackend *blk;

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    blkbackend_set_clock(stepped_clock, NULL);
    blk = open_image("top", RW);
    throttle_config_init(&cfg);
    cfg.buckets[THROTTLE_OPS_WRITE].avg = 1;
    blk_io_limits_enable(blk, "g");
    blk_set_io_limits(blk, &cfg);
    assert_int_equal(compressed(blk, 0, zeroes), 0);
    assert_int_equal(compressed(blk, 5, zeroes), -EIO);    /* refused ones do not count */
    assert_int_equal(now_ns, 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), advance_clock, NULL);
    assert_int_equal(compressed(blk, 1, zeroes), 0);
    assert_int_equal(now_ns, 1000000000);
    blk_unref(blk);
    blkbackend_set_clock(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(checks_come_in_order),
        IMAGE_TEST(a_call_is_a_cluster),
        IMAGE_TEST(no_sectors_end_the_series),
        IMAGE_TEST(write_cache_off_flushes_after_it),
        IMAGE_TEST(it_counts_as_a_write),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
