/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F46 and F47: device commands go down to the driver that knows them, and are waited for. */
#include "testfmt.h"

#define SOME_COMMAND ((1ul << 40) | 0x2285)    /* more bits than an int has */

static struct {
    unsigned long req;
    void *buf;
    int calls, ret;
    bool slow;
    Coroutine *waiting;
} device;

static int coroutine_fn device_ioctl(BlockDriverState *bs, unsigned long req, void *buf)
{
    (void)bs;
    device.calls++;
    device.req = req;
    device.buf = buf;
    if (device.slow) {
        device.waiting = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
    return device.ret;
}

static int64_t coroutine_fn device_getlength(BlockDriverState *bs)
{
    (void)bs;
    return 1 << 20;
}

static BlockDriver testdevice_driver = {
    .format_name = "testdevice",
    .protocol_name = "testdevice",
    .bdrv_co_getlength = device_getlength,
    .bdrv_co_ioctl = device_ioctl,
};
BLOCK_DRIVER(testdevice_driver)

static int device_reset(void **state)
{
    memset(&device, 0, sizeof(device));
    return images_reset(state);
}

static BlockBackend *open_device(void)
{
    return blk_new_open(NULL, NULL, options_of("'driver':'testdevice'"), RW, &error_abort);
}

static void resume(void *opaque)
{
    (void)opaque;
    aio_co_wake(device.waiting);
}

static void the_driver_answers(void **state)
{
    BlockBackend *blk = open_device();
    AioResult result = { 0 };
    int buf;

    (void)state;
    device.ret = 7;
    assert_int_equal(blk_ioctl(blk, SOME_COMMAND, &buf), 7);
    assert_true(device.req == SOME_COMMAND);
    assert_ptr_equal(device.buf, &buf);
    device.ret = -EBADMSG;
    assert_int_equal(blk_ioctl(blk, 1, NULL), -EBADMSG);

    device.ret = 0;
    blk_aio_ioctl(blk, SOME_COMMAND + 1, &buf, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_true(device.req == SOME_COMMAND + 1);
    assert_int_equal(result.calls, 1);
    blk_unref(blk);
}

static bool tray_open(void *opaque)
{
    (void)opaque;
    return true;
}

static void without_a_medium_there_is_no_answer(void **state)
{
    static const BlockDevOps ops = { .is_tray_open = tray_open };
    BlockBackend *blk = blk_new(NULL);
    AioResult result = { 0 };

    (void)state;
    assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOMEDIUM);
    blk_aio_ioctl(blk, 1, NULL, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    assert_int_equal(aio_result_wait(&result), -ENOMEDIUM);
    blk_unref(blk);
    blk = open_device();
    blk_set_dev_ops(blk, &ops, NULL);
    assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOMEDIUM);
    blk_set_dev_ops(blk, NULL, NULL);
    assert_int_equal(device.calls, 0);
    blk_unref(blk);
}

static void only_a_transparent_format_passes_it_on(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOTSUP);
    blk_unref(blk);
    blk = blk_new_open(NULL, NULL, options_of("'driver':'raw','file.driver':'testdevice'"), RW,
                       &error_abort);
    assert_int_equal(blk_ioctl(blk, SOME_COMMAND, NULL), 0);
    assert_true(device.req == SOME_COMMAND);
    blk_unref(blk);
    blk = blk_new_open(NULL, NULL, options_of("'driver':'raw','file.driver':'testfile',"
                                              "'file.filename':'top'"), RW, &error_abort);
    assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOTSUP);
    blk_unref(blk);
    /* A window of a device is not the device. */
    blk = blk_new_open(NULL, NULL, options_of("'driver':'raw','offset':512,"
                                              "'file.driver':'testdevice'"), RW, &error_abort);
    assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOTSUP);
    blk_unref(blk);
}

static void a_drain_waits_for_it(void **state)
{
    BlockBackend *blk = open_device();
    AioResult result = { 0 };

    (void)state;
    device.slow = true;
    blk_aio_ioctl(blk, 1, NULL, aio_result_cb, &result);
    assert_non_null(device.waiting);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, NULL);
    blk_drain(blk);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, 0);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_driver_answers, device_reset),
        cmocka_unit_test_setup(without_a_medium_there_is_no_answer, device_reset),
        cmocka_unit_test_setup(only_a_transparent_format_passes_it_on, device_reset),
        cmocka_unit_test_setup(a_drain_waits_for_it, device_reset),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
