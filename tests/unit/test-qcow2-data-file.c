/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An external data file is part of the graph: what happens to the image happens to it. */
#include "qcow2-test.h"

static BlockBackend *open_with_data_file(int flags)
{
    make_image("data_file=" BASE, "1M");
    return open_image(flags, ",'data-file':{'driver':'file','filename':'" BASE "',"
                      "'node-name':'data'}");
}

static void write_done(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static void drained_data_file_holds_the_image_s_requests(void **state)
{
    static uint8_t buf[4096];
    struct iovec iov = { buf, sizeof(buf) };
    QEMUIOVector qiov;
    BlockBackend *blk = open_with_data_file(RDWR);
    BlockDriverState *data = bdrv_find_node("data");
    int result = -EINPROGRESS;

    (void)state;
    assert_non_null(data);
    qemu_iovec_init_external(&qiov, &iov, 1);
    bdrv_drained_begin(data);
    blk_aio_pwritev(blk, 0, &qiov, 0, write_done, &result);
    while (aio_poll(qemu_get_aio_context(), false)) {
        ;
    }
    assert_int_equal(result, -EINPROGRESS);
    bdrv_drained_end(data);
    while (result == -EINPROGRESS) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(result, 0);
    blk_unref(blk);
    assert_null(bdrv_find_node("data"));
    assert_clean();
}

static void data_file_moves_with_the_image(void **state)
{
    BlockBackend *blk = open_with_data_file(RDWR);
    AioContext *ctx = aio_context_new(&error_abort);

    (void)state;
    blk_set_aio_context(blk, ctx);
    assert_ptr_equal(bdrv_get_aio_context(bdrv_find_node("data")), ctx);
    aio_context_acquire(ctx);
    blk_set_aio_context(blk, qemu_get_aio_context());
    aio_context_release(ctx);
    assert_ptr_equal(bdrv_get_aio_context(bdrv_find_node("data")), qemu_get_aio_context());
    blk_unref(blk);
    aio_context_unref(ctx);
}

static void data_file_is_reopened_with_the_image(void **state)
{
    BlockBackend *blk = open_with_data_file(RDWR);
    BlockDriverState *data = bdrv_find_node("data");
    int flags = blk_get_flags(blk);

    (void)state;
    assert_int_equal(bdrv_reopen(blk_bs(blk), flags & ~BDRV_O_RDWR, &error_abort), 0);
    assert_true(bdrv_is_read_only(data));
    assert_int_equal(bdrv_reopen(blk_bs(blk), flags | BDRV_O_RDWR, &error_abort), 0);
    assert_false(bdrv_is_read_only(data));
    write_byte(blk, 0, MIB, 1);
    blk_unref(blk);
    assert_clean();
}

static void both_become_active(void **state)
{
    BlockBackend *blk = open_with_data_file(RDWR | BDRV_O_INACTIVE);

    (void)state;
    blk_invalidate_cache(blk, &error_abort);
    write_byte(blk, 0, MIB, 2);
    assert_bytes(blk, 0, MIB, 2);
    blk_unref(blk);
    assert_clean();
}

static void image_without_its_data_file_leaves_nothing_open(void **state)
{
    (void)state;
    make_image("data_file=" BASE, "1M");
    assert_open_fails("does not support the option 'none'", 0, "'driver':'qcow2','none':1,"
                      "'data-file.node-name':'data','data-file.driver':'file',"
                      "'data-file.filename':'" BASE "','file.filename':'" IMAGE "'");
    assert_null(bdrv_find_node("data"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drained_data_file_holds_the_image_s_requests),
        cmocka_unit_test(data_file_moves_with_the_image),
        cmocka_unit_test(data_file_is_reopened_with_the_image),
        cmocka_unit_test(both_become_active),
        cmocka_unit_test(image_without_its_data_file_leaves_nothing_open),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
