/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F63 and inactive nodes: no writes before, everything reread at the change. */
#include "testfmt.h"

static void an_empty_backend_is_an_error(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Error *err = NULL;

    (void)state;
    blk_invalidate_cache(blk, &err);
    assert_error(err, "Device '' has no medium");
    monitor_add_blk(blk, "drive0", &error_abort);
    blk_invalidate_cache(blk, &err);
    assert_error(err, "Device 'drive0' has no medium");
    monitor_remove_blk(blk);
    blk_unref(blk);
}

static void there_may_be_nothing_to_do(void **state)
{
    BlockBackend *blk = blk_new_with_bs(NULL);

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk_invalidate_cache(blk, &error_abort);
    blk_unref(blk);
    blk = open_image("top", RW);
    blk_invalidate_cache(blk, &error_abort);
    assert_int_equal(events_of("top invalidate"), 0);
    blk_unref(blk);
}

static void an_inactive_node_is_not_written(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", 2 * CLUSTER, NULL);
    blk = open_image("top", RW | BDRV_O_INACTIVE);
    events_clear();
    assert_int_equal(write_fill(blk, 0, 512, 1), -EPERM);
    assert_int_equal(blk_write_zeroes(blk, 0, 8, 0), -EPERM);
    assert_int_equal(blk_discard(blk, 0, 8), -EPERM);
    assert_int_equal(blk_save_vmstate(blk, (const uint8_t *)"x", 0, 1), -EPERM);
    assert_int_equal(write_fill(blk, 2 * CLUSTER, 512, 1), -EIO);     /* the range comes first */
    assert_read(blk, 0, 512, 0);
    assert_false(blk_is_read_only(blk));
    blk_unref(blk);
    assert_events("top read 0 512\n");     /* not even a flush at the end */
}

static void invalidating_rereads_and_activates(void **state)
{
    TestImage *top = image_make("top", CLUSTER, "base");
    BlockBackend *blk;

    (void)state;
    image_make("base", CLUSTER, NULL);
    blk = open_image("top", RW | BDRV_O_INACTIVE);
    assert_int_equal(blk_getlength(blk), CLUSTER);
    top->length = 3 * CLUSTER;         /* by somebody else */
    events_clear();
    blk_invalidate_cache(blk, &error_abort);
    assert_events("base invalidate\ntop invalidate\n");
    assert_int_equal(blk_get_flags(blk) & BDRV_O_INACTIVE, 0);
    assert_int_equal(bdrv_get_flags(bdrv_file(blk_bs(blk))) & BDRV_O_INACTIVE, 0);
    assert_int_equal(blk_getlength(blk), 3 * CLUSTER);
    assert_int_equal(write_fill(blk, 2 * CLUSTER, 512, 1), 512);
    blk_unref(blk);
}

static void a_failure_leaves_it_inactive(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW | BDRV_O_INACTIVE);
    Error *err = NULL;

    (void)state;
    top->invalidate_error = -EIO;
    blk_invalidate_cache(blk, &err);
    assert_error(err, "metadata are gone");
    assert_true(blk_get_flags(blk) & BDRV_O_INACTIVE);
    assert_int_equal(write_fill(blk, 0, 512, 1), -EPERM);
    top->invalidate_error = 0;
    top->length = -EIO;
    blk_invalidate_cache(blk, &err);
    assert_error(err, "Could not reread the size");
    assert_true(blk_get_flags(blk) & BDRV_O_INACTIVE);
    top->length = CLUSTER;
    blk_invalidate_cache(blk, &error_abort);
    assert_int_equal(write_fill(blk, 0, 512, 1), 512);
    blk_unref(blk);
}

/* A driver with nothing to reread: its file does it. */
static void what_has_no_cache_asks_its_file(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = blk_new_open(NULL, NULL, options_of("'driver':'raw','file':{'driver':'testfmt',"
                                              "'file':{'driver':'testfile','filename':'top'}}"),
                       RW | BDRV_O_INACTIVE, &error_abort);
    events_clear();
    blk_invalidate_cache(blk, &error_abort);
    assert_events("top invalidate\n");
    assert_int_equal(write_fill(blk, 0, 512, 1), 512);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(an_empty_backend_is_an_error),
        IMAGE_TEST(there_may_be_nothing_to_do),
        IMAGE_TEST(an_inactive_node_is_not_written),
        IMAGE_TEST(invalidating_rereads_and_activates),
        IMAGE_TEST(a_failure_leaves_it_inactive),
        IMAGE_TEST(what_has_no_cache_asks_its_file),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
