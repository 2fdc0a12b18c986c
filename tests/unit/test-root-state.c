/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an empty backend remembers of its last medium. */
#include "blk-test.h"

static void removal_remembers_the_medium(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP);
    BlockBackendRootState *root_state = blk_get_root_state(blk);
    int flags = blk_get_flags(blk);

    (void)state;
    assert_int_equal(flags & (BDRV_O_RDWR | BDRV_O_CACHE_MASK | BDRV_O_UNMAP),
                     BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP);
    blk_remove_bs(blk);
    assert_int_equal(root_state->open_flags, flags);
    assert_false(root_state->read_only);
    assert_int_equal(blk_get_flags(blk), flags);
    assert_int_equal(blk_is_read_only(blk), 0);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    assert_null(root_state->throttle_group);
    assert_null(root_state->throttle_state);
    assert_ptr_equal(blk_get_root_state(blk), root_state);
    blk_unref(blk);
}

static void read_only_is_remembered(void **state)
{
    BlockBackend *blk = open_blk(NULL, 0);

    (void)state;
    blk_remove_bs(blk);
    assert_true(blk_get_root_state(blk)->read_only);
    assert_int_equal(blk_is_read_only(blk), 1);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    blk_unref(blk);
}

static void update_copies_without_removing(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR);

    (void)state;
    assert_int_equal(blk_get_root_state(blk)->open_flags, 0);
    blk_update_root_state(blk);
    assert_int_equal(blk_get_root_state(blk)->open_flags, blk_get_flags(blk));
    blk_set_enable_write_cache(blk, true);
    assert_false(blk_get_root_state(blk)->open_flags & BDRV_O_CACHE_WB);
    blk_update_root_state(blk);
    assert_true(blk_get_root_state(blk)->open_flags & BDRV_O_CACHE_WB);
    blk_unref(blk);
}

static void update_needs_a_root(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_update_root_state(blk));
    blk_unref(blk);
}

static void detect_zeroes_travels_to_the_next_medium(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *first = open_node(NULL, 0), *second = open_node(NULL, 0);

    (void)state;
    blk_get_root_state(blk)->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP;
    blk_apply_root_state(blk, first);
    blk_insert_bs(blk, first);
    blk_get_root_state(blk)->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    blk_remove_bs(blk);
    assert_int_equal(blk_get_root_state(blk)->detect_zeroes,
                     BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP);
    /* Inserting alone applies nothing. */
    blk_insert_bs(blk, second);
    blk_remove_bs(blk);
    assert_int_equal(blk_get_root_state(blk)->detect_zeroes, BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF);
    bdrv_unref(first);
    bdrv_unref(second);
    blk_unref(blk);
}

static void apply_leaves_open_flags_alone(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *bs = open_node(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB);
    int flags = bdrv_get_flags(bs);

    (void)state;
    blk_get_root_state(blk)->open_flags = BDRV_O_NO_FLUSH;
    blk_get_root_state(blk)->read_only = true;
    blk_apply_root_state(blk, bs);
    assert_int_equal(bdrv_get_flags(bs), flags);
    assert_false(bdrv_is_read_only(bs));
    bdrv_unref(bs);
    blk_unref(blk);
}

static void open_flags_take_read_only_from_the_state(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockBackendRootState *root_state = blk_get_root_state(blk);

    (void)state;
    assert_int_equal(blk_get_open_flags_from_root_state(blk), BDRV_O_RDWR);
    root_state->open_flags = BDRV_O_CACHE_WB | BDRV_O_RDWR | BDRV_O_SNAPSHOT;
    root_state->read_only = true;
    assert_int_equal(blk_get_open_flags_from_root_state(blk), BDRV_O_CACHE_WB | BDRV_O_SNAPSHOT);
    root_state->open_flags = BDRV_O_CACHE_WB;
    root_state->read_only = false;
    assert_int_equal(blk_get_open_flags_from_root_state(blk), BDRV_O_CACHE_WB | BDRV_O_RDWR);
    blk_unref(blk);
}

static void an_empty_drive_can_be_set_up(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_get_root_state(blk)->open_flags = BDRV_O_CACHE_WB | BDRV_O_NOCACHE;
    blk_get_root_state(blk)->read_only = true;
    assert_int_equal(blk_get_flags(blk), BDRV_O_CACHE_WB | BDRV_O_NOCACHE);
    assert_int_equal(blk_is_read_only(blk), 1);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    blk_unref(blk);
}

static void write_cache_of_an_empty_drive_is_a_flag(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_get_root_state(blk)->open_flags = BDRV_O_UNMAP;
    blk_set_enable_write_cache(blk, true);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    assert_int_equal(blk_get_flags(blk), BDRV_O_UNMAP | BDRV_O_CACHE_WB);
    blk_set_enable_write_cache(blk, false);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    assert_int_equal(blk_get_flags(blk), BDRV_O_UNMAP);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(removal_remembers_the_medium),
        BLK_TEST(read_only_is_remembered),
        BLK_TEST(update_copies_without_removing),
        BLK_TEST(update_needs_a_root),
        BLK_TEST(detect_zeroes_travels_to_the_next_medium),
        BLK_TEST(apply_leaves_open_flags_alone),
        BLK_TEST(open_flags_take_read_only_from_the_state),
        BLK_TEST(an_empty_drive_can_be_set_up),
        BLK_TEST(write_cache_of_an_empty_drive_is_a_flag),
    };

    return cmocka_run_group_tests_name("root-state", tests, blk_test_setup, NULL);
}
