/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F52 and §3.11: commit of overlays into their backing files, and reopening. */
#include "testfmt.h"

static BlockBackend *open_pair(TestImage **base, TestImage **top, int64_t base_size)
{
    BlockBackend *blk;

    *base = image_make("base", base_size, NULL);
    *top = image_make("top", 4 * CLUSTER, "base");
    image_fill(*base, 0, (int)(base_size / CLUSTER), 1);
    image_fill(*top, 1, 1, 2);
    (*top)->map[2] = ZERO;
    blk = open_image("top", RW);
    events_clear();
    return blk;
}

static void it_copies_what_the_overlay_has(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 4 * CLUSTER);

    (void)state;
    assert_int_equal(blk_commit_all(), 0);
    assert_events("base file rw\nbase rw\n"
                  "top read 4096 4096\nbase write 4096 4096\n"
                  "base zero 8192 4096\n"
                  "base flush\n"
                  "top empty\ntop flush\n"
                  "base flush\nbase ro\nbase flush\nbase file ro\n");
    assert_map(base, "DD0D");
    assert_map(top, "----");
    assert_int_equal(base->data[CLUSTER], 2);
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    assert_read(blk, 0, CLUSTER, 1);
    assert_read(blk, CLUSTER, CLUSTER, 2);
    assert_read(blk, 2 * CLUSTER, CLUSTER, 0);
    assert_read(blk, 3 * CLUSTER, CLUSTER, 1);

    /* And again: there is nothing to copy. */
    events_clear();
    assert_int_equal(blk_commit_all(), 0);
    assert_int_equal(events_of("base write"), 0);
    blk_unref(blk);
}

static void a_shorter_backing_file_grows(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, CLUSTER);

    (void)state;
    assert_int_equal(blk_commit_all(), 0);
    assert_int_equal(base->length, 4 * CLUSTER);
    assert_int_equal(events_of("base truncate 16384"), 1);
    assert_read(blk, CLUSTER, CLUSTER, 2);
    assert_read(blk, 2 * CLUSTER, 2 * CLUSTER, 0);
    blk_unref(blk);

    /* One that cannot ends it. */
    images_reset(NULL);
    blk = open_pair(&base, &top, CLUSTER);
    base->truncate_error = -EFBIG;
    assert_int_equal(blk_commit_all(), -EFBIG);
    assert_int_equal(base->length, CLUSTER);
    assert_map(top, "-D0-");
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    blk_unref(blk);
}

static void a_longer_backing_file_stays(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 6 * CLUSTER);

    (void)state;
    assert_int_equal(blk_commit_all(), 0);
    assert_int_equal(base->length, 6 * CLUSTER);
    assert_map(base, "DD0DDD");
    blk_unref(blk);
}

static void errors_end_it_and_lose_nothing(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 4 * CLUSTER);

    (void)state;
    base->fail_write_at = 1;
    assert_int_equal(blk_commit_all(), -EIO);
    assert_map(top, "-D0-");
    assert_int_equal(events_of("top empty"), 0);
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    base->fail_write_at = -1;
    top->read_error = -EBADMSG;
    assert_int_equal(blk_commit_all(), -EBADMSG);
    top->read_error = 0;
    top->status_error = -EILSEQ;
    assert_int_equal(blk_commit_all(), -EILSEQ);
    top->status_error = 0;
    top->empty_error = -EROFS;
    assert_int_equal(blk_commit_all(), -EROFS);
    assert_map(top, "-D0-");
    top->empty_error = 0;
    base->flush_error = -ENOSPC;
    events_clear();
    assert_int_equal(blk_commit_all(), -ENOSPC);
    assert_int_equal(events_of("top empty"), 0);
    base->flush_error = 0;
    assert_read(blk, CLUSTER, CLUSTER, 2);
    blk_unref(blk);
}

static void who_cannot_be_written_is_eacces(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 4 * CLUSTER);

    (void)state;
    base->reopen_error = -EROFS;
    assert_int_equal(blk_commit_all(), -EACCES);
    blk_unref(blk);

    /* The overlay is read-only: its backing file may not become writable. */
    base->reopen_error = 0;
    blk = open_image("top", BDRV_O_CACHE_WB);
    assert_int_equal(blk_commit_all(), -EACCES);
    blk_unref(blk);
    assert_map(base, "DDDD");
}

static void blocked_is_ebusy(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 4 * CLUSTER);
    Error *reason = NULL;

    (void)state;
    error_setg(&reason, "busy");
    bdrv_op_block(blk_bs(blk), BLOCK_OP_TYPE_COMMIT_SOURCE, reason);
    assert_int_equal(blk_commit_all(), -EBUSY);
    bdrv_op_unblock(blk_bs(blk), BLOCK_OP_TYPE_COMMIT_SOURCE, reason);
    bdrv_op_block(bdrv_backing(blk_bs(blk)), BLOCK_OP_TYPE_COMMIT_TARGET, reason);
    assert_int_equal(blk_commit_all(), -EBUSY);
    bdrv_op_unblock(bdrv_backing(blk_bs(blk)), BLOCK_OP_TYPE_COMMIT_TARGET, reason);
    assert_events("");
    assert_int_equal(blk_commit_all(), 0);
    error_free(reason);
    blk_unref(blk);
}

static void nothing_to_commit_is_no_error(void **state)
{
    BlockBackend *empty = blk_new(NULL), *driverless = blk_new_with_bs(NULL), *alone;

    (void)state;
    image_make("alone", CLUSTER, NULL);
    alone = open_image("alone", RW);
    assert_int_equal(blk_commit_all(), 0);
    assert_int_equal(bdrv_commit(blk_bs(driverless)), -ENOMEDIUM);
    assert_int_equal(bdrv_commit(blk_bs(alone)), -ENOTSUP);
    blk_unref(empty);
    blk_unref(driverless);
    blk_unref(alone);
}

static void all_of_them_until_one_fails(void **state)
{
    TestImage *base[3], *top[3];
    BlockBackend *blk[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        char low[] = "base0", high[] = "top0";

        low[4] = high[3] = (char)('0' + i);
        base[i] = image_make(low, CLUSTER, NULL);
        top[i] = image_make(high, CLUSTER, low);
        image_fill(top[i], 0, 1, 1 + i);
        blk[i] = open_image(high, RW);
    }
    base[1]->write_error = -ENOSPC;
    assert_int_equal(blk_commit_all(), -ENOSPC);
    assert_map(base[0], "D");
    assert_map(top[0], "-");
    assert_map(top[1], "D");
    assert_map(top[2], "D");
    base[1]->write_error = 0;
    assert_int_equal(blk_commit_all(), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(base[i]->data[0], 1 + i);
        blk_unref(blk[i]);
    }
}

static void it_goes_one_level_down(void **state)
{
    TestImage *base = image_make("base", CLUSTER, NULL);
    TestImage *mid = image_make("mid", CLUSTER, "base");
    TestImage *top = image_make("top", CLUSTER, "mid");
    BlockBackend *blk;

    (void)state;
    image_fill(top, 0, 1, 3);
    blk = open_image("top", RW);
    assert_int_equal(blk_commit_all(), 0);
    assert_map(top, "-");
    assert_map(mid, "D");
    assert_map(base, "-");
    blk_unref(blk);
}

/* Throttling and write cache are the backend's, not commit's; and so is its loop. */
static void it_works_in_an_io_thread_and_under_limits(void **state)
{
    TestImage *base, *top;
    BlockBackend *blk = open_pair(&base, &top, 4 * CLUSTER);
    ThrottleConfig cfg;
    LoopThread loop;

    (void)state;
    throttle_config_init(&cfg);
    cfg.buckets[THROTTLE_BPS_TOTAL].avg = 1;
    blk_io_limits_enable(blk, "g");
    blk_set_io_limits(blk, &cfg);
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    assert_int_equal(blk_commit_all(), 0);
    assert_map(base, "DD0D");
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    blk_unref(blk);
}

/* ---- reopening ---- */

static void reopening_changes_mode_and_file(void **state)
{
    BlockBackend *blk;
    Error *err = NULL;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    events_clear();
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_CACHE_WB, &error_abort), 0);
    assert_events("top flush\ntop ro\ntop flush\ntop file ro\n");
    assert_true(blk_is_read_only(blk));
    assert_int_equal(write_fill(blk, 0, 512, 1), -EPERM);
    assert_true(bdrv_is_read_only(bdrv_file(blk_bs(blk))));

    events_clear();
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_RDWR | BDRV_O_NOCACHE, &error_abort), 0);
    assert_events("top file rw\ntop rw\n");
    assert_false(blk_enable_write_cache(blk));
    assert_int_equal(blk_get_flags(blk) & BDRV_O_CACHE_MASK, BDRV_O_NOCACHE);
    assert_int_equal(bdrv_get_flags(bdrv_file(blk_bs(blk))) & BDRV_O_CACHE_MASK,
                     BDRV_O_NOCACHE | BDRV_O_CACHE_WB);
    assert_int_equal(write_fill(blk, 0, 512, 1), 512);
    blk_unref(blk);

    blk = open_image("top", 0);
    assert_int_equal(bdrv_reopen(blk_bs(blk), RW, &err), -EACCES);
    assert_error(err, "is read-only");
    blk_unref(blk);
    blk = open_as("testplain", "top", RW);
    assert_int_equal(bdrv_reopen(blk_bs(blk), 0, &err), -ENOTSUP);
    assert_error(err, "Driver 'testplain' cannot reopen");
    blk_unref(blk);
}

static void a_device_fixes_the_write_cache(void **state)
{
    BlockBackend *blk;
    Error *err = NULL;
    int dev;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    blk_attach_dev_nofail(blk, &dev);
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_RDWR, &err), -EINVAL);
    assert_error(err, "Cannot change cache.writeback: Device attached");
    assert_true(blk_enable_write_cache(blk));
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_CACHE_WB, &error_abort), 0);
    assert_int_equal(bdrv_reopen(blk_bs(blk), RW, &error_abort), 0);
    blk_detach_dev(blk, &dev);
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_RDWR, &error_abort), 0);
    assert_false(blk_enable_write_cache(blk));
    blk_unref(blk);
}

static void a_failed_reopen_changes_nothing(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);
    int flags = blk_get_flags(blk);
    Error *err = NULL;

    (void)state;
    top->reopen_error = -EIO;
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_CACHE_WB, &err), -EIO);
    assert_error(err, "cannot reopen");
    assert_false(blk_is_read_only(blk));
    assert_int_equal(blk_get_flags(blk) | BDRV_O_ALLOW_RDWR, flags | BDRV_O_ALLOW_RDWR);
    /* The driver had gone read-only before the file refused: it is writable again. */
    assert_int_equal(events_of("top ro"), 1);
    assert_int_equal(events_of("top rw"), 1);
    top->reopen_error = 0;
    top->flush_error = -EIO;
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_CACHE_WB, &err), -EIO);
    assert_error(err, "Could not flush");
    top->flush_error = 0;
    assert_int_equal(write_fill(blk, 0, 512, 1), 512);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(it_copies_what_the_overlay_has),
        IMAGE_TEST(a_shorter_backing_file_grows),
        IMAGE_TEST(a_longer_backing_file_stays),
        IMAGE_TEST(errors_end_it_and_lose_nothing),
        IMAGE_TEST(who_cannot_be_written_is_eacces),
        IMAGE_TEST(blocked_is_ebusy),
        IMAGE_TEST(nothing_to_commit_is_no_error),
        IMAGE_TEST(all_of_them_until_one_fails),
        IMAGE_TEST(it_goes_one_level_down),
        IMAGE_TEST(it_works_in_an_io_thread_and_under_limits),
        IMAGE_TEST(reopening_changes_mode_and_file),
        IMAGE_TEST(a_device_fixes_the_write_cache),
        IMAGE_TEST(a_failed_reopen_changes_nothing),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
