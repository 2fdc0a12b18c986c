/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* I/O status: the first error, for who can stop. */
#include "blk-test.h"

static void enabled_means_asked_for_and_able_to_stop(void **state)
{
    static const struct {
        BlockdevOnError on_read, on_write;
        bool enabled;
    } rows[] = {
        { BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_REPORT, false },
        { BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_IGNORE, false },
        { BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_ENOSPC, true },
        { BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_STOP, true },
        { BLOCKDEV_ON_ERROR_IGNORE, BLOCKDEV_ON_ERROR_REPORT, false },
        { BLOCKDEV_ON_ERROR_ENOSPC, BLOCKDEV_ON_ERROR_REPORT, false },
        { BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_REPORT, true },
    };
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        blk_set_on_error(blk, rows[i].on_read, rows[i].on_write);
        assert_false(blk_iostatus_is_enabled(blk));
        blk_iostatus_enable(blk);
        assert_int_equal(blk_iostatus_is_enabled(blk), rows[i].enabled);
        blk_iostatus_disable(blk);
        assert_false(blk_iostatus_is_enabled(blk));
    }
    blk_unref(blk);
}

static BlockBackend *enabled_blk(void)
{
    BlockBackend *blk = blk_new(NULL);

    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_STOP);
    blk_iostatus_enable(blk);
    return blk;
}

static void the_first_error_sticks(void **state)
{
    BlockBackend *blk = enabled_blk();

    (void)state;
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_iostatus_set_err(blk, ENOSPC);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_NOSPACE);
    blk_iostatus_set_err(blk, EIO);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_NOSPACE);
    blk_iostatus_reset(blk);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_iostatus_set_err(blk, EIO);
    blk_iostatus_set_err(blk, ENOSPC);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    blk_iostatus_enable(blk);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_unref(blk);
}

static void disabling_keeps_the_status(void **state)
{
    BlockBackend *blk = enabled_blk();

    (void)state;
    blk_iostatus_set_err(blk, EIO);
    blk_iostatus_disable(blk);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    blk_iostatus_reset(blk);        /* does nothing while disabled */
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    blk_unref(blk);
}

static void a_policy_that_cannot_stop_leaves_the_status(void **state)
{
    BlockBackend *blk = enabled_blk();

    (void)state;
    blk_iostatus_set_err(blk, EIO);
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_REPORT);
    blk_iostatus_reset(blk);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    EXPECT_ABORT(blk_iostatus_set_err(blk, EIO));
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_ENOSPC);
    blk_iostatus_reset(blk);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_unref(blk);
}

static void setting_an_error_while_disabled_aborts(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_iostatus_set_err(blk, EIO));
    blk_unref(blk);
}

static void failing_requests_leave_the_status_alone(void **state)
{
    BlockBackend *blk = enabled_blk();
    uint8_t buf[512];

    (void)state;
    assert_int_equal(blk_read(blk, 0, buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(enabled_means_asked_for_and_able_to_stop),
        BLK_TEST(the_first_error_sticks),
        BLK_TEST(disabling_keeps_the_status),
        BLK_TEST(a_policy_that_cannot_stop_leaves_the_status),
        BLK_TEST(setting_an_error_while_disabled_aborts),
        BLK_TEST(failing_requests_leave_the_status_alone),
    };

    return cmocka_run_group_tests_name("io-status", tests, blk_test_setup, NULL);
}
