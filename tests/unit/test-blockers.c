/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operation blockers. */
#include "graph-test.h"

static Error *reason(const char *text)
{
    Error *err = NULL;

    error_setg(&err, "%s", text);
    return err;
}

static void assert_blocked(BlockDriverState *bs, BlockOpType op, const char *message)
{
    Error *err = NULL;

    assert_true(bdrv_op_is_blocked(bs, op, &err));
    assert_string_equal(error_get_pretty(err), message);
    error_free(err);
}

static void newest_reason_is_told(void **state)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\",\"node-name\":\"n\"}", 0);
    Error *a = reason("a job runs"), *b = reason("it is a backing file"), *err = NULL;

    (void)state;
    assert_false(bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_EJECT, &err));
    assert_null(err);
    bdrv_op_block(bs, BLOCK_OP_TYPE_EJECT, a);
    assert_blocked(bs, BLOCK_OP_TYPE_EJECT, "Node 'n' is busy: a job runs");
    bdrv_op_block(bs, BLOCK_OP_TYPE_EJECT, b);
    assert_blocked(bs, BLOCK_OP_TYPE_EJECT, "Node 'n' is busy: it is a backing file");
    assert_false(bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_RESIZE, NULL));
    assert_true(bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_EJECT, NULL));
    bdrv_op_unblock(bs, BLOCK_OP_TYPE_EJECT, b);
    assert_blocked(bs, BLOCK_OP_TYPE_EJECT, "Node 'n' is busy: a job runs");
    bdrv_op_unblock(bs, BLOCK_OP_TYPE_EJECT, a);
    assert_false(bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_EJECT, NULL));
    assert_string_equal(error_get_pretty(a), "a job runs");
    error_free(a);
    error_free(b);
    bdrv_unref(bs);
}

/* What counts is the address, and one call removes all with it. */
static void reason_is_known_by_its_address(void **state)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\"}", 0);
    Error *a = reason("same words"), *b = reason("same words");

    (void)state;
    bdrv_op_block_all(bs, a);
    bdrv_op_block_all(bs, a);
    bdrv_op_block_all(bs, b);
    bdrv_op_unblock_all(bs, a);
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_true(bdrv_op_is_blocked(bs, op, NULL));
    }
    bdrv_op_unblock(bs, BLOCK_OP_TYPE_COMMIT_TARGET, b);
    assert_false(bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_COMMIT_TARGET, NULL));
    bdrv_op_unblock(bs, BLOCK_OP_TYPE_COMMIT_TARGET, b);
    bdrv_op_unblock_all(bs, b);
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_false(bdrv_op_is_blocked(bs, op, NULL));
    }
    error_free(a);
    error_free(b);
    bdrv_unref(bs);
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static bool never_busy(void *opaque)
{
    (void)opaque;
    return false;
}

static const char *backend_name(void *opaque)
{
    return opaque;
}

static const BdrvParentOps backend_ops = {
    .drained_begin = nothing,
    .drained_poll = never_busy,
    .drained_end = nothing,
    .name = backend_name,
};

static void backends_name_comes_first(void **state)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\",\"node-name\":\"n\"}", 0);
    BlockDriverState *above = open_ok(NULL, "{\"driver\":\"raw\",\"file\":\"n\"}", 0);
    BdrvParent named = { .ops = &backend_ops, .opaque = "disk0" };
    BdrvParent anonymous = { .ops = &backend_ops, .opaque = "" };
    Error *a = reason("why");

    (void)state;
    bdrv_op_block(bs, BLOCK_OP_TYPE_STREAM, a);
    assert_blocked(bs, BLOCK_OP_TYPE_STREAM, "Node 'n' is busy: why");
    bdrv_add_parent(bs, &anonymous);
    assert_blocked(bs, BLOCK_OP_TYPE_STREAM, "Node 'n' is busy: why");
    bdrv_add_parent(bs, &named);
    assert_blocked(bs, BLOCK_OP_TYPE_STREAM, "Node 'disk0' is busy: why");
    bdrv_remove_parent(bs, &named);
    bdrv_remove_parent(bs, &anonymous);
    bdrv_op_unblock_all(bs, a);
    error_free(a);
    bdrv_unref(above);
    bdrv_unref(bs);
}

static void drop_blocked_node(void)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\"}", 0);

    bdrv_op_block_all(bs, reason("still here"));
    bdrv_unref(bs);
}

static void ask_for_no_operation(void)
{
    bdrv_op_is_blocked(bdrv_new(), BLOCK_OP_TYPE_MAX, NULL);
}

static void misuse_ends_the_process(void **state)
{
    (void)state;
    assert_dies(drop_blocked_node);
    assert_dies(ask_for_no_operation);
}

#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(newest_reason_is_told),
        TEST(reason_is_known_by_its_address),
        TEST(backends_name_comes_first),
        TEST(misuse_ends_the_process),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
