/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exchanging the root, external snapshots, commit jobs: order, failures, who stands in the way. */
#include "testfmt.h"

#include <unistd.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/job.h>

/* ---- a format whose header can be changed ---- */

static int coroutine_fn livefmt_change_backing(BlockDriverState *bs, const char *filename,
                                               const char *format, Error **errp)
{
    (void)format;
    (void)errp;
    event("%s header %s", fmt_image(bs)->name, filename);
    assert_false(bdrv_is_read_only(bs));
    strcpy(fmt_image(bs)->backing, filename);
    return fmt_image(bs)->compress_error;
}

static BlockDriver livefmt_driver = {
    .format_name = "livefmt",
    TESTFMT_DRIVER,
    .bdrv_co_change_backing_file = livefmt_change_backing,
};
BLOCK_DRIVER(livefmt_driver)

static BlockDriverState *open_overlay(const char *name, int flags)
{
    BlockDriverState *bs = NULL;
    char filename[64];

    snprintf(filename, sizeof(filename), "testfile:%s", name);
    bdrv_open(&bs, filename, NULL, options_of("'driver':'livefmt','node-name':'n-%s','backing':''",
                                              name), flags, &error_abort);
    return bs;
}

/* The image, and on it as many overlays: "base", "mid", "top". */
static BlockBackend *open_chain(int overlays)
{
    static const char *const names[] = { "base", "mid", "top" };
    BlockBackend *blk;

    image_fill(image_make("base", 4 * CLUSTER, NULL), 0, 4, 1);
    blk = blk_new_open("testfile:base", NULL,
                       options_of("'driver':'livefmt','node-name':'n-base'"), RW, &error_abort);
    for (int i = 0; i < overlays; i++) {
        BlockDriverState *bs;

        image_make(names[i + 1], 4 * CLUSTER, names[i]);
        bs = open_overlay(names[i + 1], RW);
        assert_int_equal(blk_snapshot(blk, bs, &error_abort), 0);
        bdrv_unref(bs);
        assert_int_equal(write_fill(blk, i * CLUSTER, CLUSTER, 2 + i), CLUSTER);
    }
    events_clear();
    return blk;
}

static const char *root_name(BlockBackend *blk)
{
    return bdrv_get_node_name(blk_bs(blk));
}

/* ---- the root ---- */

static void a_new_root_is_as_the_old_one(void **state)
{
    BlockBackend *blk = open_chain(0);
    BlockDriverState *bs;
    Error *reason = NULL;
    LoopThread loop;

    (void)state;
    image_fill(image_make("other", 4 * CLUSTER, NULL), 0, 4, 7);
    bs = open_overlay("other", RW);
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    blk_set_enable_write_cache(blk, false);
    blk_set_detect_zeroes(blk, BLOCKDEV_DETECT_ZEROES_OPTIONS_ON);
    error_setg(&reason, "in use");
    blk_op_block_all(blk, reason);

    assert_int_equal(blk_replace_bs(blk, bs, &error_abort), 0);
    assert_ptr_equal(blk_bs(blk), bs);
    assert_null(bdrv_find_node("n-base"));
    assert_ptr_equal(bdrv_get_aio_context(bs), loop.ctx);
    assert_false(blk_enable_write_cache(blk));
    assert_int_equal(atomic_load(&bs->detect_zeroes), BLOCKDEV_DETECT_ZEROES_OPTIONS_ON);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    assert_read(blk, 0, CLUSTER, 7);
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void only_a_root_can_be_replaced_and_by_nobodys(void **state)
{
    BlockBackend *blk = open_chain(0), *empty = blk_new(NULL), *other;
    Error *err = NULL;

    (void)state;
    image_make("other", CLUSTER, NULL);
    other = open_image("other", RW);
    assert_int_equal(blk_replace_bs(empty, blk_bs(blk), &err), -ENOMEDIUM);
    assert_error(err, "has no medium");
    assert_int_equal(blk_replace_bs(blk, blk_bs(other), &err), -EBUSY);
    assert_error(err, "already in use by another block backend");
    assert_string_equal(root_name(blk), "n-base");
    blk_unref(other);
    blk_unref(empty);
    blk_unref(blk);
}

/* A request that waits at the gate while the roots are exchanged finds the new one. */
static void requests_wait_and_none_fails(void **state)
{
    BlockBackend *blk = open_chain(0);
    uint8_t buf[CLUSTER];
    struct iovec iov = { buf, sizeof(buf) };
    AioResult result = { 0 };
    BlockDriverState *bs;
    QEMUIOVector qiov;

    (void)state;
    image_fill(image_make("other", 4 * CLUSTER, NULL), 0, 4, 7);
    bs = open_overlay("other", RW);
    qemu_iovec_init_external(&qiov, &iov, 1);
    blk_drained_begin(blk);
    blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &result);
    assert_int_equal(blk_replace_bs(blk, bs, &error_abort), 0);
    assert_int_equal(atomic_load(&result.calls), 0);
    blk_drained_end(blk);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_int_equal(buf[0], 7);
    bdrv_unref(bs);
    blk_unref(blk);
}

/* ---- snapshots ---- */

static void overlay_and_image_are_stable_before_the_first_write(void **state)
{
    BlockBackend *blk = open_chain(0);
    BlockDriverState *bs;

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    bs = open_overlay("top", RW);
    events_clear();
    assert_int_equal(blk_snapshot(blk, bs, &error_abort), 0);
    assert_events("top flush\nbase flush\nbase flush\nbase ro\nbase flush\nbase file ro\n");
    assert_int_equal(write_fill(blk, CLUSTER, CLUSTER, 9), CLUSTER);
    assert_map(image_find("base"), "DDDD");
    assert_map(image_find("top"), "-D--");
    assert_read(blk, 0, CLUSTER, 1);
    assert_read(blk, CLUSTER, CLUSTER, 9);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void a_snapshot_that_fails_changes_nothing(void **state)
{
    BlockBackend *blk = open_chain(0);
    TestImage *base = image_find("base"), *top = image_make("top", 4 * CLUSTER, NULL);
    BlockDriverState *bs = open_overlay("top", RW);
    Error *err = NULL;

    (void)state;
    top->flush_error = -EIO;
    assert_int_equal(blk_snapshot(blk, bs, &err), -EIO);
    assert_error(err, "Could not flush");
    top->flush_error = 0;
    base->flush_error = -ENOSPC;
    assert_int_equal(blk_snapshot(blk, bs, &err), -ENOSPC);
    assert_error(err, "Could not flush");
    base->flush_error = 0;
    base->reopen_error = -EIO;
    assert_int_equal(blk_snapshot(blk, bs, &err), -EIO);
    assert_error(err, "cannot reopen");
    base->reopen_error = 0;
    assert_string_equal(root_name(blk), "n-base");
    assert_null(bdrv_backing(bs));
    assert_int_equal(write_fill(blk, 0, CLUSTER, 5), CLUSTER);
    assert_int_equal(base->data[0], 5);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void an_overlay_must_fit(void **state)
{
    BlockBackend *blk = open_chain(1);
    BlockDriverState *bs;
    Error *err = NULL;

    (void)state;
    assert_int_equal(blk_snapshot(blk, blk_bs(blk), &err), -EBUSY);
    assert_error(err, "already in use");
    image_make("short", 2 * CLUSTER, NULL);
    bs = open_overlay("short", RW);
    assert_int_equal(blk_snapshot(blk, bs, &err), -EINVAL);
    assert_error(err, "has 8192 bytes, but its clients see 16384");
    bdrv_unref(bs);
    image_make("other", 4 * CLUSTER, NULL);
    bs = open_overlay("other", BDRV_O_CACHE_WB);
    assert_int_equal(blk_snapshot(blk, bs, &err), -EACCES);
    assert_error(err, "is read-only");
    bdrv_unref(bs);
    blk_unref(blk);
}

/* ---- jobs ---- */

typedef struct Told {
    char states[256];
    int errors, reads;
    BlockErrorAction action;
} Told;

static void status_changed(BlockJob *job, JobStatus status, void *opaque)
{
    Told *told = opaque;

    (void)job;
    strcat(strcat(told->states, *told->states ? " " : ""), job_status_name(status));
}

static void io_error(BlockJob *job, bool is_read, BlockErrorAction action, int error, void *opaque)
{
    Told *told = opaque;

    (void)job;
    assert_true(error > 0);
    told->errors++;
    told->reads += is_read;
    told->action = action;
}

static const BlockJobOps job_ops = { .status_changed = status_changed, .io_error = io_error };

static BlockJob *start(BlockBackend *blk, const char *top, const char *base,
                       BlockdevOnError on_error, Told *told, Error **errp)
{
    BlockCommitOptions o = {
        .job_id = "job", .top = top ? bdrv_find_node(top) : NULL,
        .base = base ? bdrv_find_node(base) : NULL, .on_error = on_error,
        .ops = &job_ops, .opaque = told,
    };

    *told = (Told){ .errors = 0 };
    return blk_commit_start(blk, &o, errp);
}

static BlockJobInfo info_of(BlockJob *job)
{
    BlockJobInfo info;

    block_job_get_info(job, &info);
    return info;
}

static void wait_for(BlockJob *job, JobStatus status)
{
    while (info_of(job).status != status) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void dismiss(BlockJob *job)
{
    assert_int_equal(block_job_dismiss(job, &error_abort), 0);
    assert_null(block_job_next(NULL));
}

static void base_is_stable_before_the_overlay_is_empty(void **state)
{
    BlockBackend *blk = open_chain(2);
    BlockJob *job;
    Told told;

    (void)state;
    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    wait_for(job, JOB_STATUS_READY);
    assert_int_equal(block_job_complete(job, &error_abort), 0);
    wait_for(job, JOB_STATUS_PENDING);
    assert_string_equal(root_name(blk), "n-top");
    events_clear();
    block_job_settle(job);
    assert_events("base flush\ntop header testfile:base\ntop flush\ntop empty\ntop flush\n"
                  "top flush\ntop flush\n");    /* it and its file are closed */
    assert_string_equal(told.states, "created running ready waiting pending concluded");
    assert_string_equal(root_name(blk), "n-base");
    assert_null(bdrv_find_node("n-mid"));
    assert_map(image_find("base"), "DDDD");
    assert_map(image_find("top"), "----");
    assert_int_equal(image_find("base")->data[0], 2);
    assert_int_equal(image_find("base")->data[CLUSTER], 3);
    assert_int_equal(write_fill(blk, 0, CLUSTER, 8), CLUSTER);
    dismiss(job);
    blk_unref(blk);
}

static void a_header_changes_when_base_is_stable(void **state)
{
    BlockBackend *blk = open_chain(2);
    BlockJob *job;
    Told told;

    (void)state;
    job = start(blk, "n-mid", NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    wait_for(job, JOB_STATUS_PENDING);
    events_clear();
    block_job_settle(job);
    assert_events("base flush\ntop header testfile:base\ntop flush\n"
                  "base flush\nbase ro\nbase flush\nbase file ro\n");
    assert_ptr_equal(bdrv_backing(blk_bs(blk)), bdrv_find_node("n-base"));
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    assert_read(blk, 0, CLUSTER, 2);
    assert_read(blk, CLUSTER, CLUSTER, 3);
    dismiss(job);
    blk_unref(blk);
}

static void a_failure_at_the_end_leaves_the_chain(void **state)
{
    BlockBackend *blk = open_chain(2);
    BlockJob *job;
    Told told;

    (void)state;
    for (int active = 0; active < 2; active++) {
        job = start(blk, active ? NULL : "n-mid", NULL, BLOCKDEV_ON_ERROR_REPORT, &told,
                    &error_abort);
        if (active) {
            wait_for(job, JOB_STATUS_READY);
            block_job_complete(job, &error_abort);
        }
        wait_for(job, JOB_STATUS_PENDING);
        image_find("base")->flush_error = -ENOSPC;
        events_clear();
        block_job_settle(job);
        image_find("base")->flush_error = 0;
        assert_int_equal(info_of(job).ret, -ENOSPC);
        assert_non_null(strstr(info_of(job).error, "Could not flush"));
        assert_int_equal(events_of("top empty") + events_of("top header"), 0);
        assert_string_equal(root_name(blk), "n-top");
        assert_ptr_equal(bdrv_backing(blk_bs(blk)), bdrv_find_node("n-mid"));
        assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
        dismiss(job);
    }
    /* A header that cannot be written. */
    job = start(blk, "n-mid", NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    wait_for(job, JOB_STATUS_PENDING);
    image_find("top")->compress_error = -EIO;
    block_job_settle(job);
    assert_int_equal(info_of(job).ret, -EIO);
    assert_ptr_equal(bdrv_backing(blk_bs(blk)), bdrv_find_node("n-mid"));
    assert_read(blk, 0, CLUSTER, 2);
    dismiss(job);
    blk_unref(blk);
}

static void what_becomes_of_errors_is_its_users_choice(void **state)
{
    BlockBackend *blk = open_chain(1);
    TestImage *base = image_find("base"), *top = image_find("mid");
    BlockJob *job;
    Told told;

    (void)state;
    base->write_error = -EIO;
    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_ENOSPC, &told, &error_abort);
    wait_for(job, JOB_STATUS_ABORTING);
    block_job_settle(job);
    assert_int_equal(told.errors, 1);
    assert_int_equal(told.reads, 0);
    assert_int_equal(told.action, BLOCK_ERROR_ACTION_REPORT);
    assert_int_equal(info_of(job).ret, -EIO);
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    dismiss(job);

    base->write_error = -ENOSPC;
    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_ENOSPC, &told, &error_abort);
    wait_for(job, JOB_STATUS_PAUSED);
    assert_int_equal(told.action, BLOCK_ERROR_ACTION_STOP);
    assert_int_equal(info_of(job).io_status, BLOCK_DEVICE_IO_STATUS_NOSPACE);
    base->write_error = 0;
    assert_int_equal(block_job_resume(job, &error_abort), 0);
    assert_int_equal(info_of(job).io_status, BLOCK_DEVICE_IO_STATUS_OK);
    wait_for(job, JOB_STATUS_READY);
    block_job_cancel_sync(job);
    assert_string_equal(told.states, "created running paused running ready aborting concluded");
    dismiss(job);

    top->read_error = -EIO;
    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_IGNORE, &told, &error_abort);
    while (told.errors < 2) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(told.reads, told.errors);
    top->read_error = 0;
    wait_for(job, JOB_STATUS_READY);
    block_job_cancel_sync(job);
    dismiss(job);
    assert_read(blk, 0, CLUSTER, 2);
    blk_unref(blk);
}

/* A base of 6 clusters, and "mid" and "top" on it of so many; opened with these options. */
static BlockBackend *open_uneven(int mid, int top, const char *options)
{
    image_fill(image_make("base", 6 * CLUSTER, NULL), 0, 6, 1);
    image_make("mid", mid * CLUSTER, "base");
    image_make("top", top * CLUSTER, "mid");
    return blk_new_open("testfile:top", NULL, options_of("%s", options), RW, &error_abort);
}

/* What was behind the end of a shorter layer must not come to light. */
static void lengths_are_those_that_are_shown(void **state)
{
    BlockBackend *blk;
    BlockJob *job;
    Told told;

    (void)state;
    blk = open_uneven(2, 5, "'driver':'livefmt','node-name':'n-top','backing.node-name':'n-mid'");
    assert_read(blk, 2 * CLUSTER, 3 * CLUSTER, 0);
    job = start(blk, "n-mid", NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    wait_for(job, JOB_STATUS_PENDING);
    block_job_settle(job);
    assert_read(blk, 0, 2 * CLUSTER, 1);
    assert_read(blk, 2 * CLUSTER, 3 * CLUSTER, 0);
    assert_map(image_find("base"), "DD000D");
    dismiss(job);

    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    wait_for(job, JOB_STATUS_READY);
    block_job_complete(job, &error_abort);
    wait_for(job, JOB_STATUS_PENDING);
    block_job_settle(job);
    assert_int_equal(blk_getlength(blk), 5 * CLUSTER);
    assert_int_equal(image_find("base")->length, 5 * CLUSTER);
    dismiss(job);
    blk_unref(blk);
}

static void nobody_else_may_use_what_changes(void **state)
{
    BlockBackend *blk = open_chain(2), *other;
    BdrvDirtyBitmap *bitmap;
    Error *err = NULL;
    Told told;

    (void)state;
    image_make("other", 4 * CLUSTER, NULL);
    other = blk_new_open(NULL, NULL, options_of("'driver':'testfmt','node-name':'n-other',"
                                                "'backing':'n-mid','file.driver':'testfile',"
                                                "'file.filename':'other'"), RW, &error_abort);
    assert_null(start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "Node 'n-mid' is also used by 'n-other'");
    assert_null(start(blk, NULL, "n-mid", BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "Node 'n-mid' is also used by 'n-other'");
    blk_unref(other);
    assert_null(start(blk, "n-mid", "n-top", BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "is not in the backing chain");
    assert_null(start(blk, "n-base", NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "has no backing file to commit to");

    bitmap = bdrv_create_dirty_bitmap(bdrv_find_node("n-mid"), 4096, "shown", &error_abort);
    bdrv_dirty_bitmap_set_busy(bitmap, true);
    assert_null(start(blk, "n-mid", NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "'shown' is currently in use");
    bdrv_dirty_bitmap_set_busy(bitmap, false);
    assert_true(bdrv_is_read_only(bdrv_find_node("n-base")));
    assert_null(block_job_next(NULL));
    blk_unref(blk);
}

static void writes_after_their_place_was_copied_are_not_lost(void **state)
{
    BlockBackend *blk = open_chain(1);
    uint8_t buf[CLUSTER];
    struct iovec iov = { buf, sizeof(buf) };
    AioResult result = { 0 };
    QEMUIOVector qiov;
    BlockJob *job;
    Told told;

    (void)state;
    memset(buf, 9, sizeof(buf));
    qemu_iovec_init_external(&qiov, &iov, 1);
    job = start(blk, NULL, NULL, BLOCKDEV_ON_ERROR_REPORT, &told, &error_abort);
    assert_int_equal(image_find("base")->data[0], 1);
    wait_for(job, JOB_STATUS_READY);
    assert_int_equal(image_find("base")->data[0], 2);
    image_find("mid")->hold = true;
    blk_aio_pwritev(blk, 0, &qiov, 0, aio_result_cb, &result);
    while (!image_find("mid")->held) {
        aio_poll(qemu_get_aio_context(), true);
    }
    aio_co_wake(image_find("mid")->held);
    assert_int_equal(aio_result_wait(&result), 0);
    block_job_complete(job, &error_abort);
    wait_for(job, JOB_STATUS_PENDING);
    assert_int_equal(write_fill(blk, CLUSTER, CLUSTER, 10), CLUSTER);
    block_job_settle(job);
    assert_read(blk, 0, CLUSTER, 9);
    assert_read(blk, CLUSTER, CLUSTER, 10);
    assert_int_equal(info_of(job).done, info_of(job).total);
    dismiss(job);
    blk_unref(blk);
}

/* ---- names that say less than the nodes show ---- */

static BlockBackend *open_base_with(const char *options)
{
    image_fill(image_make("base", 4 * CLUSTER, NULL), 0, 4, 1);
    return blk_new_open("testfile:base", NULL, options_of("%s", options), RW, &error_abort);
}

static void assert_no_snapshot(const char *options, const char *why)
{
    BlockBackend *blk = open_base_with(options);
    BlockDriverState *bs = blk_bs(blk);
    Error *err = NULL;
    char name[64];

    snprintf(name, sizeof(name), "./live-chain-overlay-%d", (int)getpid());
    assert_int_equal(blk_snapshot_file(blk, name, "qcow2", NULL, false, &err), -EINVAL);
    assert_error(err, why);
    assert_int_equal(access(name, F_OK), -1);
    assert_ptr_equal(blk_bs(blk), bs);
    blk_unref(blk);
}

static void a_name_that_shows_something_else_is_no_name(void **state)
{
    (void)state;
    assert_no_snapshot("'driver':'raw','offset':4096",
                       "with the option 'offset': no file name says so");
    assert_no_snapshot("'driver':'raw','size':8192",
                       "with the option 'size': no file name says so");
    assert_no_snapshot("'driver':'raw','file.driver':'livefmt','file.node-name':'below'",
                       "shows what node 'below' (livefmt)");
    assert_no_snapshot("'driver':'raw','file.driver':'raw','file.offset':4096",
                       "with the option 'offset'");
    image_make("other", 4 * CLUSTER, NULL);
    assert_no_snapshot("'driver':'livefmt','backing.driver':'livefmt',"
                       "'backing.file.driver':'testfile','backing.file.filename':'other'",
                       "with the option 'backing'");
}

static void a_header_keeps_no_name_that_shows_something_else(void **state)
{
    BlockBackend *blk;
    Error *err = NULL;
    Told told;

    (void)state;
    blk = open_uneven(4, 4, "'driver':'livefmt','backing.node-name':'n-mid',"
                            "'backing.driver':'livefmt','backing.backing.driver':'raw',"
                            "'backing.backing.offset':8192,"
                            "'backing.backing.node-name':'n-base'");
    events_clear();
    assert_null(start(blk, "n-mid", "n-base", BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "Node 'n-base' was opened with the option 'offset'");
    assert_null(start(blk, NULL, "n-base", BLOCKDEV_ON_ERROR_REPORT, &told, &err));
    assert_error(err, "Node 'n-base' was opened with the option 'offset'");
    assert_int_equal(events_of("top header"), 0);
    assert_null(block_job_next(NULL));
    assert_string_equal(bdrv_get_node_name(bdrv_backing(blk_bs(blk))), "n-mid");
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(a_new_root_is_as_the_old_one),
        IMAGE_TEST(only_a_root_can_be_replaced_and_by_nobodys),
        IMAGE_TEST(requests_wait_and_none_fails),
        IMAGE_TEST(overlay_and_image_are_stable_before_the_first_write),
        IMAGE_TEST(a_snapshot_that_fails_changes_nothing),
        IMAGE_TEST(an_overlay_must_fit),
        IMAGE_TEST(base_is_stable_before_the_overlay_is_empty),
        IMAGE_TEST(a_header_changes_when_base_is_stable),
        IMAGE_TEST(a_failure_at_the_end_leaves_the_chain),
        IMAGE_TEST(what_becomes_of_errors_is_its_users_choice),
        IMAGE_TEST(lengths_are_those_that_are_shown),
        IMAGE_TEST(nobody_else_may_use_what_changes),
        IMAGE_TEST(a_name_that_shows_something_else_is_no_name),
        IMAGE_TEST(a_header_keeps_no_name_that_shows_something_else),
        IMAGE_TEST(writes_after_their_place_was_copied_are_not_lost),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
