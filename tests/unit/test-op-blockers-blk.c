/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operation blockers, as a BlockBackend shows them. */
#include "blk-test.h"

static Error *new_reason(const char *text)
{
    Error *reason = NULL;

    error_setg(&reason, "%s", text);
    return reason;
}

static void nothing_is_blocked_at_first(void **state)
{
    BlockBackend *blk = open_disk();
    Error *err = NULL;

    (void)state;
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_false(blk_op_is_blocked(blk, op, &err));
        assert_null(err);
    }
    blk_unref(blk);
}

static void blocking_blocks_every_operation(void **state)
{
    BlockBackend *blk = open_disk();
    Error *reason = new_reason("a backup runs");

    (void)state;
    blk_op_block_all(blk, reason);
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_true(blk_op_is_blocked(blk, op, NULL));
    }
    blk_op_unblock(blk, BLOCK_OP_TYPE_DATAPLANE, reason);
    assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_DATAPLANE, NULL));
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_REPLACE, NULL));
    blk_op_unblock_all(blk, reason);
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_false(blk_op_is_blocked(blk, op, NULL));
    }
    assert_string_equal(error_get_pretty(reason), "a backup runs");
    error_free(reason);
    blk_unref(blk);
}

static void the_newest_reason_is_given(void **state)
{
    BlockBackend *blk = open_blk("node", 0);
    Error *first = new_reason("first"), *second = new_reason("second");
    Error *err = NULL;

    (void)state;
    blk_op_block_all(blk, first);
    blk_op_block_all(blk, second);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_EJECT, &err));
    assert_ptr_not_equal(err, second);
    assert_error(err, "Node 'node' is busy: second");
    monitor_add_blk(blk, "disk", &error_abort);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_EJECT, &err));
    assert_error(err, "Node 'disk' is busy: second");
    blk_op_unblock_all(blk, second);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_EJECT, &err));
    assert_error(err, "Node 'disk' is busy: first");
    blk_op_unblock_all(blk, first);
    monitor_remove_blk(blk);
    error_free(first);
    error_free(second);
    blk_unref(blk);
}

static void a_reason_is_known_by_its_address(void **state)
{
    BlockBackend *blk = open_disk();
    Error *reason = new_reason("same words"), *other = new_reason("same words");

    (void)state;
    blk_op_block_all(blk, reason);
    blk_op_unblock_all(blk, other);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    /* Blocked twice, unblocked once: all of this reason go together. */
    blk_op_block_all(blk, reason);
    blk_op_unblock(blk, BLOCK_OP_TYPE_RESIZE, reason);
    assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    blk_op_unblock_all(blk, reason);
    assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_CHANGE, NULL));
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    error_free(other);
    blk_unref(blk);
}

static void an_empty_backend_blocks_nothing(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Error *reason = new_reason("because");

    (void)state;
    blk_op_block_all(blk, reason);
    assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    blk_op_unblock(blk, BLOCK_OP_TYPE_RESIZE, reason);
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    blk_unref(blk);
}

static void requests_do_not_look(void **state)
{
    BlockBackend *blk = open_disk();
    Error *reason = new_reason("because");
    uint8_t buf[512] = { 0 };

    (void)state;
    blk_op_block_all(blk, reason);
    assert_int_equal(blk_read(blk, 0, buf, 1), 0);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    assert_int_equal(blk_flush(blk), 0);
    assert_int_equal(blk_discard(blk, 0, 1), 0);
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    blk_unref(blk);
}

static void broken_preconditions_abort(void **state)
{
    BlockBackend *blk = open_disk(), *empty = blk_new(NULL);
    Error *reason = new_reason("because");

    (void)state;
    EXPECT_ABORT(blk_op_is_blocked(blk, BLOCK_OP_TYPE_MAX, NULL));
    EXPECT_ABORT(blk_op_is_blocked(empty, (BlockOpType)-1, NULL));
    blk_op_block_all(blk, reason);
    EXPECT_ABORT(blk_unref(blk));       /* the node would go with its blockers */
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    blk_unref(blk);
    blk_unref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(nothing_is_blocked_at_first),
        BLK_TEST(blocking_blocks_every_operation),
        BLK_TEST(the_newest_reason_is_given),
        BLK_TEST(a_reason_is_known_by_its_address),
        BLK_TEST(an_empty_backend_blocks_nothing),
        BLK_TEST(requests_do_not_look),
        BLK_TEST(broken_preconditions_abort),
    };

    return cmocka_run_group_tests_name("op-blockers-blk", tests, blk_test_setup, NULL);
}
