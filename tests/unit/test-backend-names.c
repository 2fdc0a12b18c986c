/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of BlockBackends. */
#include "blk-test.h"

static void a_registered_backend_is_found(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    char name[] = "disk-0.a_B";

    (void)state;
    assert_true(monitor_add_blk(blk, name, &error_abort));
    name[0] = 'X';      /* a copy was taken */
    assert_string_equal(blk_name(blk), "disk-0.a_B");
    assert_ptr_equal(blk_by_name("disk-0.a_B"), blk);
    assert_null(blk_by_name("disk-0"));
    assert_null(blk_by_name(""));
    monitor_remove_blk(blk);
    assert_string_equal(blk_name(blk), "");
    assert_null(blk_by_name("disk-0.a_B"));
    blk_unref(blk);
}

static void registration_holds_no_reference(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    monitor_add_blk(blk, "disk", &error_abort);
    assert_int_equal(blk_get_refcnt(blk), 1);
    blk_by_name("disk");
    assert_int_equal(blk_get_refcnt(blk), 1);
    monitor_remove_blk(blk);
    assert_int_equal(blk_get_refcnt(blk), 1);
    blk_unref(blk);
}

static void iteration_is_in_order_of_registration(void **state)
{
    BlockBackend *first = blk_new(NULL), *anonymous = blk_new(NULL), *second = blk_new(NULL);

    (void)state;
    monitor_add_blk(second, "b", &error_abort);
    monitor_add_blk(first, "a", &error_abort);
    assert_ptr_equal(blk_next(NULL), second);
    assert_ptr_equal(blk_next(second), first);
    assert_null(blk_next(first));
    monitor_add_blk(anonymous, "c", &error_abort);   /* while we are at `first` */
    assert_ptr_equal(blk_next(first), anonymous);
    monitor_remove_blk(first);
    assert_ptr_equal(blk_next(second), anonymous);
    monitor_remove_blk(second);
    monitor_remove_blk(anonymous);
    assert_null(blk_next(NULL));
    blk_unref(first);
    blk_unref(second);
    blk_unref(anonymous);
}

static void ill_formed_names_are_refused(void **state)
{
    static const char *const names[] = {
        "1st", "-a", "_a", ".a", "#a", "a b", "a/b", "a:b", "a\n", "gr\303\274n", "\303\244",
    };
    BlockBackend *blk = blk_new(NULL);
    Error *err = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(monitor_add_blk(blk, names[i], &err));
        assert_error(err, "Invalid device name");
        assert_string_equal(blk_name(blk), "");
    }
    assert_false(monitor_add_blk(blk, "1st", NULL));
    blk_unref(blk);
}

static void backends_and_nodes_share_one_namespace(void **state)
{
    BlockBackend *blk = blk_new(NULL), *other = blk_new(NULL);
    BlockDriverState *bs = open_node("node", 0);
    Error *err = NULL;

    (void)state;
    assert_true(monitor_add_blk(other, "disk", &error_abort));
    assert_false(monitor_add_blk(blk, "disk", &err));
    assert_error(err, "'disk'");
    assert_false(monitor_add_blk(blk, "node", &err));
    assert_error(err, "'node'");
    assert_null(blk_new_open(NULL, NULL, driver_options("test", "disk"), 0, &err));
    assert_error(err, "disk");
    assert_null(bdrv_find_node("disk"));

    monitor_remove_blk(other);
    assert_true(monitor_add_blk(blk, "disk", &error_abort));   /* free at once */
    monitor_remove_blk(blk);
    blk_unref(blk);
    blk_unref(other);
    bdrv_unref(bs);
}

static void broken_preconditions_abort(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_by_name(NULL));
    EXPECT_ABORT(monitor_add_blk(blk, NULL, NULL));
    EXPECT_ABORT(monitor_add_blk(blk, "", NULL));
    monitor_add_blk(blk, "disk", &error_abort);
    EXPECT_ABORT(monitor_add_blk(blk, "other", NULL));
    monitor_remove_blk(blk);
    blk_unref(blk);
}

static void removing_an_anonymous_one_does_nothing(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    monitor_remove_blk(blk);
    assert_string_equal(blk_name(blk), "");
    blk_unref(blk);
}

static void hiding_takes_the_names_and_nothing_else(void **state)
{
    BlockBackend *blk = open_blk("node", BDRV_O_RDWR);
    uint8_t buf[512];

    (void)state;
    monitor_add_blk(blk, "disk", &error_abort);
    for (int i = 0; i < 2; i++) {
        blk_hide_on_behalf_of_hmp_drive_del(blk);
        assert_null(blk_by_name("disk"));
        assert_null(bdrv_find_node("node"));
        assert_null(blk_next(NULL));
        assert_string_equal(bdrv_get_node_name(blk_bs(blk)), "");
        assert_int_equal(blk_get_refcnt(blk), 1);
        assert_int_equal(blk_read(blk, 0, buf, 1), 0);
    }
    medium.flushed = 0;
    assert_int_equal(blk_flush_all(), 0);
    assert_int_equal(medium.flushed, 1);
    blk_remove_all_bs();
    assert_null(blk_bs(blk));
    blk_hide_on_behalf_of_hmp_drive_del(blk);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(a_registered_backend_is_found),
        BLK_TEST(registration_holds_no_reference),
        BLK_TEST(iteration_is_in_order_of_registration),
        BLK_TEST(ill_formed_names_are_refused),
        BLK_TEST(backends_and_nodes_share_one_namespace),
        BLK_TEST(broken_preconditions_abort),
        BLK_TEST(removing_an_anonymous_one_does_nothing),
        BLK_TEST(hiding_takes_the_names_and_nothing_else),
    };

    return cmocka_run_group_tests_name("backend-names", tests, blk_test_setup, NULL);
}
