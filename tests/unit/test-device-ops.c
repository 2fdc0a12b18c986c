/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attached device and its callbacks. */
#include "blk-test.h"

#include "backend/backend.h"

static int dev, other_dev;

static void attach_holds_a_reference(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    assert_int_equal(blk_attach_dev(blk, &dev), 0);
    assert_ptr_equal(blk_get_attached_dev(blk), &dev);
    assert_int_equal(blk_get_refcnt(blk), 2);
    blk_detach_dev(blk, &dev);
    assert_null(blk_get_attached_dev(blk));
    assert_int_equal(blk_get_refcnt(blk), 1);
    blk_unref(blk);
}

static void detach_may_destroy(void **state)
{
    BlockBackend *blk = open_disk();

    (void)state;
    blk_attach_dev_nofail(blk, &dev);
    blk_unref(blk);
    assert_int_equal(medium.closed, 0);
    blk_detach_dev(blk, &dev);
    assert_int_equal(medium.closed, 1);
}

static void one_device_at_a_time(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_attach_dev_nofail(blk, &dev);
    assert_int_equal(blk_attach_dev(blk, &dev), -EBUSY);
    assert_int_equal(blk_attach_dev(blk, &other_dev), -EBUSY);
    assert_int_equal(blk_get_refcnt(blk), 2);
    EXPECT_ABORT(blk_attach_dev_nofail(blk, &other_dev));
    EXPECT_ABORT(blk_detach_dev(blk, &other_dev));
    blk_detach_dev(blk, &dev);
    EXPECT_ABORT(blk_detach_dev(blk, &dev));
    blk_attach_dev_nofail(blk, &other_dev);
    blk_detach_dev(blk, &other_dev);
    blk_unref(blk);
}

static void a_device_is_not_null(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_attach_dev(blk, NULL));
    EXPECT_ABORT(blk_detach_dev(blk, NULL));
    blk_unref(blk);
}

static void attach_resets_the_io_status(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_STOP);
    blk_iostatus_enable(blk);
    blk_iostatus_set_err(blk, EIO);
    blk_attach_dev_nofail(blk, &dev);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_iostatus_set_err(blk, EIO);
    blk_detach_dev(blk, &dev);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_STOP);
    blk_unref(blk);
}

static bool is_true(void *opaque)
{
    return *(bool *)opaque;
}

static void ops_are_used_where_they_lie(void **state)
{
    BlockDevOps ops = { .is_tray_open = NULL };
    BlockBackend *blk = open_disk();
    bool open = true;

    (void)state;
    blk_set_dev_ops(blk, &ops, &open);      /* no device is needed */
    assert_false(blk_dev_has_tray(blk));
    assert_true(blk_is_available(blk));
    ops.is_tray_open = is_true;
    assert_true(blk_dev_has_tray(blk));
    assert_true(blk_dev_is_tray_open(blk));
    assert_true(blk_is_inserted(blk));
    assert_false(blk_is_available(blk));
    open = false;
    assert_false(blk_dev_is_tray_open(blk));
    assert_true(blk_is_available(blk));
    open = true;
    blk_set_dev_ops(blk, NULL, NULL);
    assert_true(blk_is_available(blk));
    blk_unref(blk);
}

static void detach_clears_the_ops(void **state)
{
    const BlockDevOps ops = { .is_tray_open = is_true };
    BlockBackend *blk = open_disk();
    bool open = true;

    (void)state;
    blk_attach_dev_nofail(blk, &dev);
    blk_set_dev_ops(blk, &ops, &open);
    assert_false(blk_is_available(blk));
    blk_detach_dev(blk, &dev);
    assert_false(blk_dev_has_tray(blk));
    assert_true(blk_is_available(blk));
    blk_unref(blk);
}

static void an_open_tray_fails_requests(void **state)
{
    const BlockDevOps ops = { .is_tray_open = is_true };
    BlockBackend *blk = open_disk();
    uint64_t sectors;
    uint8_t buf[512];
    bool open = true;

    (void)state;
    blk_set_dev_ops(blk, &ops, &open);
    assert_int_equal(blk_read(blk, 0, buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_write(blk, 0, buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_flush(blk), -ENOMEDIUM);
    assert_int_equal(blk_getlength(blk), -ENOMEDIUM);
    blk_get_geometry(blk, &sectors);
    assert_int_equal(sectors, MEDIUM_SIZE / 512);
    open = false;
    assert_int_equal(blk_read(blk, 0, buf, 1), 0);
    blk_unref(blk);
}

/* Nothing in the library uses it, and nothing public tells it. */
static void guest_block_size_goes_with_the_device(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    assert_int_equal(blk->guest_block_size, 0);
    blk_attach_dev_nofail(blk, &dev);
    blk_set_guest_block_size(blk, 4096);
    assert_int_equal(blk->guest_block_size, 4096);
    assert_int_equal(blk_get_request_alignment(blk), 512);
    blk_detach_dev(blk, &dev);
    assert_int_equal(blk->guest_block_size, 512);
    blk_unref(blk);
}

static void what_the_device_lacks_is_not_called(void **state)
{
    const BlockDevOps ops = { .change_media_cb = NULL };
    BlockBackend *blk = open_disk();

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_false(blk_dev_has_tray(blk));
        assert_false(blk_dev_is_tray_open(blk));
        assert_false(blk_dev_is_medium_locked(blk));
        blk_dev_eject_request(blk, true);
        blk_dev_change_media_cb(blk, true);
        blk_dev_resize_cb(blk);
        blk_set_dev_ops(blk, &ops, NULL);
    }
    blk_unref(blk);
}

typedef struct Called {
    int resized, eject_requests, loads, unloads;
    bool force, locked;
} Called;

static void note_resize(void *opaque)
{
    ((Called *)opaque)->resized++;
}

static void note_eject_request(void *opaque, bool force)
{
    Called *called = opaque;

    called->eject_requests++;
    called->force = force;
}

static void note_media_change(void *opaque, bool load)
{
    Called *called = opaque;

    called->loads += load;
    called->unloads += !load;
}

static bool answer_locked(void *opaque)
{
    return ((Called *)opaque)->locked;
}

static void callbacks_get_their_opaque(void **state)
{
    const BlockDevOps ops = {
        .change_media_cb = note_media_change,
        .eject_request_cb = note_eject_request,
        .is_medium_locked = answer_locked,
        .resize_cb = note_resize,
    };
    BlockBackend *blk = blk_new(NULL);
    Called called = { .locked = true };

    (void)state;
    blk_set_dev_ops(blk, &ops, &called);
    blk_dev_resize_cb(blk);
    blk_dev_eject_request(blk, true);
    blk_dev_change_media_cb(blk, false);
    blk_dev_change_media_cb(blk, false);
    blk_dev_change_media_cb(blk, true);
    assert_int_equal(called.resized, 1);
    assert_int_equal(called.eject_requests, 1);
    assert_true(called.force);
    assert_int_equal(called.unloads, 2);
    assert_int_equal(called.loads, 1);
    assert_true(blk_dev_is_medium_locked(blk));
    blk_unref(blk);
}

/* Two sets of ops, each of which knows its own opaque. */
static int opaque_a, opaque_b;
static atomic_int mixed_up;

static bool tray_of_a(void *opaque)
{
    atomic_fetch_add(&mixed_up, opaque != &opaque_a);
    return false;
}

static bool tray_of_b(void *opaque)
{
    atomic_fetch_add(&mixed_up, opaque != &opaque_b);
    return false;
}

typedef struct Asker {
    BlockBackend *blk;
    atomic_bool stop;
} Asker;

static void *ask(void *opaque)
{
    Asker *asker = opaque;

    while (!atomic_load(&asker->stop)) {
        blk_is_available(asker->blk);
    }
    return NULL;
}

static void ops_and_opaque_change_together(void **state)
{
    const BlockDevOps ops_a = { .is_tray_open = tray_of_a };
    const BlockDevOps ops_b = { .is_tray_open = tray_of_b };
    Asker asker = { .blk = open_disk() };
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    for (int i = 0; i < 20000; i++) {
        blk_set_dev_ops(asker.blk, &ops_a, &opaque_a);
        blk_set_dev_ops(asker.blk, &ops_b, &opaque_b);
    }
    atomic_store(&asker.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(mixed_up, 0);
    blk_unref(asker.blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(attach_holds_a_reference),
        BLK_TEST(detach_may_destroy),
        BLK_TEST(one_device_at_a_time),
        BLK_TEST(a_device_is_not_null),
        BLK_TEST(attach_resets_the_io_status),
        BLK_TEST(ops_are_used_where_they_lie),
        BLK_TEST(detach_clears_the_ops),
        BLK_TEST(an_open_tray_fails_requests),
        BLK_TEST(guest_block_size_goes_with_the_device),
        BLK_TEST(what_the_device_lacks_is_not_called),
        BLK_TEST(callbacks_get_their_opaque),
        BLK_TEST(ops_and_opaque_change_together),
    };

    return cmocka_run_group_tests_name("device-ops", tests, blk_test_setup, NULL);
}
