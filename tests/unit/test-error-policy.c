/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What to do about errors, and who is told in which order. */
#include "blk-test.h"

static void policies_are_stored(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    for (int r = 0; r < BLOCKDEV_ON_ERROR_AUTO; r++) {
        for (int w = 0; w < BLOCKDEV_ON_ERROR_AUTO; w++) {
            blk_set_on_error(blk, r, w);
            assert_int_equal(blk_get_on_error(blk, true), r);
            assert_int_equal(blk_get_on_error(blk, false), w);
        }
    }
    blk_unref(blk);
}

static void auto_keeps_the_current_one(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_IGNORE);
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_AUTO, BLOCKDEV_ON_ERROR_AUTO);
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_STOP);
    assert_int_equal(blk_get_on_error(blk, false), BLOCKDEV_ON_ERROR_IGNORE);
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_AUTO, BLOCKDEV_ON_ERROR_ENOSPC);
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_STOP);
    assert_int_equal(blk_get_on_error(blk, false), BLOCKDEV_ON_ERROR_ENOSPC);
    blk_unref(blk);
}

static void unknown_policies_abort(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_set_on_error(blk, BLOCKDEV_ON_ERROR__MAX, BLOCKDEV_ON_ERROR_REPORT));
    EXPECT_ABORT(blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, (BlockdevOnError)-1));
    EXPECT_ABORT(blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, (BlockdevOnError)1000));
    blk_unref(blk);
}

static void the_policy_decides_the_action(void **state)
{
    static const struct {
        BlockdevOnError policy;
        BlockErrorAction on_enospc, on_eio;
    } rows[] = {
        { BLOCKDEV_ON_ERROR_REPORT, BLOCK_ERROR_ACTION_REPORT, BLOCK_ERROR_ACTION_REPORT },
        { BLOCKDEV_ON_ERROR_IGNORE, BLOCK_ERROR_ACTION_IGNORE, BLOCK_ERROR_ACTION_IGNORE },
        { BLOCKDEV_ON_ERROR_ENOSPC, BLOCK_ERROR_ACTION_STOP, BLOCK_ERROR_ACTION_REPORT },
        { BLOCKDEV_ON_ERROR_STOP, BLOCK_ERROR_ACTION_STOP, BLOCK_ERROR_ACTION_STOP },
    };
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        blk_set_on_error(blk, rows[i].policy, BLOCKDEV_ON_ERROR_REPORT);
        assert_int_equal(blk_get_error_action(blk, true, ENOSPC), rows[i].on_enospc);
        assert_int_equal(blk_get_error_action(blk, true, EIO), rows[i].on_eio);
        assert_int_equal(blk_get_error_action(blk, false, ENOSPC), BLOCK_ERROR_ACTION_REPORT);
        blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, rows[i].policy);
        assert_int_equal(blk_get_error_action(blk, false, ENOSPC), rows[i].on_enospc);
        assert_int_equal(blk_get_error_action(blk, false, EIO), rows[i].on_eio);
        assert_int_equal(blk_get_error_action(blk, true, EIO), BLOCK_ERROR_ACTION_REPORT);
    }
    blk_unref(blk);
}

static void devices_come_and_go_without_changing_it(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    int dev;

    (void)state;
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_ENOSPC);
    blk_attach_dev_nofail(blk, &dev);
    blk_detach_dev(blk, &dev);
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_STOP);
    assert_int_equal(blk_get_on_error(blk, false), BLOCKDEV_ON_ERROR_ENOSPC);
    blk_unref(blk);
}

/* The order of calls as letters: P(repare), E(vent), R(equest). */
typedef struct Witness {
    BlockBackend *blk;
    char order[8];
    BlkEvent event;
    char device[32], reason[128];
    BlockDeviceIoStatus status_at_event, status_at_prepare;
} Witness;

static void note(Witness *w, char what)
{
    size_t len = strlen(w->order);

    assert_true(len + 1 < sizeof(w->order));
    w->order[len] = what;
}

static void on_event(void *opaque, const BlkEvent *event)
{
    Witness *w = opaque;

    note(w, 'E');
    w->event = *event;
    snprintf(w->device, sizeof(w->device), "%s", event->device);
    snprintf(w->reason, sizeof(w->reason), "%s", event->u.io_error.reason);
    w->status_at_event = blk_iostatus(w->blk);
}

static void on_stop(void *opaque, BlockBackend *blk, BlkStopPhase phase)
{
    Witness *w = opaque;

    assert_ptr_equal(blk, w->blk);
    note(w, phase == BLK_STOP_PREPARE ? 'P' : 'R');
    if (phase == BLK_STOP_PREPARE) {
        w->status_at_prepare = blk_iostatus(blk);
    }
}

static void witness_calls(Witness *w, BlockBackend *blk)
{
    *w = (Witness){ .blk = blk };
    blkbackend_set_event_fn(on_event, w);
    blkbackend_set_stop_fn(on_stop, w);
}

static int no_hooks(void **state)
{
    (void)state;
    blkbackend_set_event_fn(NULL, NULL);
    blkbackend_set_stop_fn(NULL, NULL);
    return 0;
}

static void ignore_and_report_send_the_event_only(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Witness w;

    (void)state;
    monitor_add_blk(blk, "disk", &error_abort);
    witness_calls(&w, blk);
    blk_error_action(blk, BLOCK_ERROR_ACTION_REPORT, true, EIO);
    assert_string_equal(w.order, "E");
    assert_int_equal(w.event.type, BLK_EVENT_BLOCK_IO_ERROR);
    assert_string_equal(w.device, "disk");
    assert_true(w.event.u.io_error.is_read);
    assert_int_equal(w.event.u.io_error.action, BLOCK_ERROR_ACTION_REPORT);
    assert_false(w.event.u.io_error.has_nospace);
    assert_string_equal(w.reason, strerror(EIO));
    monitor_remove_blk(blk);

    witness_calls(&w, blk);
    blk_error_action(blk, BLOCK_ERROR_ACTION_IGNORE, false, ENOSPC);
    assert_string_equal(w.order, "E");
    assert_string_equal(w.device, "");
    assert_false(w.event.u.io_error.is_read);
    assert_int_equal(w.event.u.io_error.action, BLOCK_ERROR_ACTION_IGNORE);
    assert_string_equal(w.reason, strerror(ENOSPC));
    blk_unref(blk);
}

static void stop_goes_status_prepare_event_request(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Witness w;

    (void)state;
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_ENOSPC);
    blk_iostatus_enable(blk);
    witness_calls(&w, blk);
    blk_error_action(blk, BLOCK_ERROR_ACTION_STOP, false, ENOSPC);
    assert_string_equal(w.order, "PER");
    assert_int_equal(w.status_at_prepare, BLOCK_DEVICE_IO_STATUS_NOSPACE);
    assert_int_equal(w.status_at_event, BLOCK_DEVICE_IO_STATUS_NOSPACE);
    assert_true(w.event.u.io_error.has_nospace);
    assert_true(w.event.u.io_error.nospace);
    assert_int_equal(w.event.u.io_error.action, BLOCK_ERROR_ACTION_STOP);

    witness_calls(&w, blk);
    blk_error_action(blk, BLOCK_ERROR_ACTION_STOP, true, EIO);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_NOSPACE);
    assert_true(w.event.u.io_error.has_nospace);
    assert_false(w.event.u.io_error.nospace);
    blk_unref(blk);
}

static void stop_without_status_does_the_rest(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Witness w;

    (void)state;
    witness_calls(&w, blk);
    blk_error_action(blk, BLOCK_ERROR_ACTION_STOP, false, EIO);
    assert_string_equal(w.order, "PER");
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    assert_false(w.event.u.io_error.has_nospace);
    blk_unref(blk);
}

static void without_hooks_nothing_happens(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_error_action(blk, BLOCK_ERROR_ACTION_REPORT, false, EIO);
    blk_error_action(blk, BLOCK_ERROR_ACTION_STOP, false, EIO);
    blk_unref(blk);
}

static void a_negative_error_aborts(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_error_action(blk, BLOCK_ERROR_ACTION_REPORT, false, -EIO));
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(policies_are_stored),
        BLK_TEST(auto_keeps_the_current_one),
        BLK_TEST(unknown_policies_abort),
        BLK_TEST(the_policy_decides_the_action),
        BLK_TEST(devices_come_and_go_without_changing_it),
        cmocka_unit_test_teardown(ignore_and_report_send_the_event_only, no_hooks),
        cmocka_unit_test_teardown(stop_goes_status_prepare_event_request, no_hooks),
        cmocka_unit_test_teardown(stop_without_status_does_the_rest, no_hooks),
        BLK_TEST(without_hooks_nothing_happens),
        BLK_TEST(a_negative_error_aborts),
    };

    return cmocka_run_group_tests_name("error-policy", tests, blk_test_setup, NULL);
}
