/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F96 and F97: VM state lies beside the disk, in the first node down the file chain that can. */
#include "testfmt.h"

static uint8_t buf[1000], back[1000];

static BlockBackend *open_on_vmfile(const char *driver, int flags)
{
    return blk_new_open(NULL, NULL, options_of("'driver':'%s','file.driver':'testvmfile',"
                                               "'file.filename':'top'", driver),
                        flags, &error_abort);
}

static bool tray_is_open;

static bool is_tray_open(void *opaque)
{
    (void)opaque;
    return tray_is_open;
}

static void checks_come_in_order(void **state)
{
    static const BlockDevOps ops = { .is_tray_open = is_tray_open };
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    image_make("top", CLUSTER, NULL);
    assert_int_equal(blk_save_vmstate(blk, buf, -1, 10), -ENOMEDIUM);
    assert_int_equal(blk_load_vmstate(blk, buf, 0, 10), -ENOMEDIUM);
    blk_unref(blk);

    blk = open_as("testplain", "top", 0);
    blk_set_dev_ops(blk, &ops, NULL);
    tray_is_open = true;
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), -ENOMEDIUM);
    assert_int_equal(blk_load_vmstate(blk, buf, -1, 10), -ENOMEDIUM);
    tray_is_open = false;
    assert_int_equal(blk_save_vmstate(blk, buf, -1, 10), -EINVAL);
    assert_int_equal(blk_save_vmstate(blk, buf, 0, -1), -EINVAL);
    assert_int_equal(blk_load_vmstate(blk, buf, -1, 10), -EINVAL);
    assert_int_equal(blk_load_vmstate(blk, buf, 0, -1), -EINVAL);
    assert_int_equal(blk_save_vmstate(blk, buf, INT64_MAX, 10), -EINVAL);
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), -ENOTSUP);    /* before read-only */
    assert_int_equal(blk_load_vmstate(blk, buf, 0, 10), -ENOTSUP);
    blk_unref(blk);

    blk = open_image("top", BDRV_O_CACHE_WB);
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), -EPERM);
    assert_int_equal(blk_load_vmstate(blk, buf, 0, 10), 10);
    blk_unref(blk);
    assert_int_equal(events_of("top save"), 0);
}

static void what_is_saved_can_be_loaded(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);

    (void)state;
    memset(buf, 0x77, sizeof(buf));
    assert_int_equal(blk_save_vmstate(blk, buf, 3, 1000), 1000);
    assert_int_equal(blk_load_vmstate(blk, back, 3, 1000), 1000);
    assert_memory_equal(back, buf, 1000);
    assert_int_equal(blk_save_vmstate(blk, buf, 5, 0), 0);

    /* Neither on the disk nor in its length. */
    assert_map(top, "-");
    assert_int_equal(blk_getlength(blk), CLUSTER);
    assert_read(blk, 0, CLUSTER, 0);

    top->write_error = -ENOSPC;
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), -ENOSPC);
    top->read_error = -EIO;
    assert_int_equal(blk_load_vmstate(blk, buf, 0, 10), -EIO);
    blk_unref(blk);
}

static void the_first_node_that_can_does(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, NULL);
    events_clear();
    blk = open_on_vmfile("testplain", RW);     /* its file */
    assert_int_equal(blk_save_vmstate(blk, buf, 1, 10), 10);
    assert_int_equal(blk_load_vmstate(blk, buf, 1, 10), 10);
    assert_events("top save 1 10\ntop load 1 10\n");
    blk_unref(blk);
    blk = open_on_vmfile("raw", 0);
    assert_int_equal(blk_save_vmstate(blk, buf, 1, 10), -EPERM);
    assert_int_equal(blk_load_vmstate(blk, buf, 1, 10), 10);
    blk_unref(blk);
}

static void write_cache_off_flushes_after_a_save(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", BDRV_O_RDWR);

    (void)state;
    events_clear();
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), 10);
    assert_int_equal(blk_load_vmstate(blk, buf, 0, 10), 10);
    assert_events("top save 0 10\ntop flush\ntop load 0 10\n");
    top->flush_error = -EIO;
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), -EIO);
    top->flush_error = 0;
    blk_set_enable_write_cache(blk, true);
    events_clear();
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 10), 10);
    assert_events("top save 0 10\n");
    blk_unref(blk);
}

/* Neither limits nor a drained section hold it up. */
static void it_is_neither_throttled_nor_tracked(void **state)
{
    ThrottleConfig cfg;
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    throttle_config_init(&cfg);
    cfg.buckets[THROTTLE_BPS_TOTAL].avg = 1;
    blk_io_limits_enable(blk, "g");
    blk_set_io_limits(blk, &cfg);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(blk_save_vmstate(blk, buf, 0, 1000), 1000);
        assert_int_equal(blk_load_vmstate(blk, buf, 0, 1000), 1000);
    }
    blk_drained_begin(blk);
    assert_int_equal(blk_save_vmstate(blk, buf, 0, 1000), 1000);
    blk_drained_end(blk);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(checks_come_in_order),
        IMAGE_TEST(what_is_saved_can_be_loaded),
        IMAGE_TEST(the_first_node_that_can_does),
        IMAGE_TEST(write_cache_off_flushes_after_a_save),
        IMAGE_TEST(it_is_neither_throttled_nor_tracked),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
