/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Birth, references and death of a BlockBackend. */
#include "blk-test.h"

static void new_is_empty(void **state)
{
    Error *err = NULL;
    BlockBackend *blk = blk_new(&err);
    BlockAcctStats *stats = blk_get_stats(blk);
    BlockBackendRootState *root_state = blk_get_root_state(blk);

    (void)state;
    assert_null(err);
    assert_int_equal(blk_get_refcnt(blk), 1);
    assert_null(blk_bs(blk));
    assert_null(blk_get_attached_dev(blk));
    assert_string_equal(blk_name(blk), "");
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_REPORT);
    assert_int_equal(blk_get_on_error(blk, false), BLOCKDEV_ON_ERROR_REPORT);
    assert_false(blk_iostatus_is_enabled(blk));
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    assert_int_equal(blk_get_flags(blk), 0);
    assert_int_equal(blk_is_read_only(blk), 0);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    assert_int_equal(stats->nr_ops[BLOCK_ACCT_READ], 0);
    assert_false(stats->account_invalid);
    assert_false(stats->account_failed);
    assert_null(block_acct_interval_next(stats, NULL));
    assert_int_equal(root_state->open_flags, 0);
    assert_false(root_state->read_only);
    assert_int_equal(root_state->detect_zeroes, BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF);
    assert_null(root_state->throttle_group);
    assert_null(root_state->throttle_state);
    assert_ptr_equal(blk_get_aio_context(blk), qemu_get_aio_context());
    blk_unref(blk);
}

static void new_is_not_named(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    assert_null(blk_next(NULL));
    blk_unref(blk);
}

static void plug_count_starts_at_zero(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    EXPECT_ABORT(blk_io_unplug(blk));
    blk_unref(blk);
}

static void new_with_bs_has_a_driverless_root(void **state)
{
    BlockBackend *blk = blk_new_with_bs(NULL);
    uint64_t sectors = 1;
    uint8_t buf[512];

    (void)state;
    assert_non_null(blk_bs(blk));
    assert_false(blk_is_inserted(blk));
    assert_int_equal(blk_get_flags(blk), 0);
    assert_int_equal(blk_is_read_only(blk), 0);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    assert_string_equal(bdrv_get_node_name(blk_bs(blk)), "");
    assert_ptr_equal(blk_get_aio_context(blk), qemu_get_aio_context());
    assert_int_equal(blk_read(blk, 0, buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_write(blk, 0, buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_flush(blk), -ENOMEDIUM);
    blk_get_geometry(blk, &sectors);
    assert_int_equal(sectors, 0);
    blk_unref(blk);
}

static void references_are_counted(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    blk_ref(blk);
    assert_int_equal(blk_get_refcnt(blk), 2);
    blk_unref(blk);
    assert_int_equal(blk_get_refcnt(blk), 1);
    blk_unref(blk);
}

static void null_has_no_references(void **state)
{
    (void)state;
    assert_int_equal(blk_get_refcnt(NULL), 0);
    blk_unref(NULL);
}

static void action_ref(TestNotifier *self, BlockBackend *blk)
{
    (void)self;
    blk_ref(blk);
}

static void action_unref(TestNotifier *self, BlockBackend *blk)
{
    (void)self;
    blk_unref(blk);
}

static void a_dying_backend_cannot_be_referenced(void **state)
{
    TestNotifier n = { .notifier.notify = test_notify, .remove_itself = true };
    BlockBackend *blk = open_disk();

    (void)state;
    blk_add_remove_bs_notifier(blk, &n.notifier);
    n.action = action_ref;
    EXPECT_ABORT(blk_unref(blk));
    n.action = action_unref;
    EXPECT_ABORT(blk_unref(blk));
    n.action = NULL;
    blk_unref(blk);
}

static void destroying_a_named_one_aborts(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    monitor_add_blk(blk, "disk", &error_abort);
    EXPECT_ABORT(blk_unref(blk));
    monitor_remove_blk(blk);
    blk_unref(blk);
}

static void destroying_with_a_device_aborts(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    int dev;

    (void)state;
    blk_attach_dev_nofail(blk, &dev);
    blk_unref(blk);
    EXPECT_ABORT(blk_unref(blk));
    blk_detach_dev(blk, &dev);
}

static void ctx_attached(AioContext *ctx, void *opaque)
{
    (void)ctx;
    (void)opaque;
}

static void ctx_detach(void *opaque)
{
    (void)opaque;
}

static void destroying_with_notifiers_aborts(void **state)
{
    TestNotifier n = { .notifier.notify = test_notify };
    BlockBackend *blk = open_disk();

    (void)state;
    blk_add_remove_bs_notifier(blk, &n.notifier);
    EXPECT_ABORT(blk_unref(blk));
    notifier_remove(&n.notifier);
    blk_add_insert_bs_notifier(blk, &n.notifier);
    EXPECT_ABORT(blk_unref(blk));
    notifier_remove(&n.notifier);
    blk_add_aio_context_notifier(blk, ctx_attached, ctx_detach, NULL);
    EXPECT_ABORT(blk_unref(blk));
    blk_remove_aio_context_notifier(blk, ctx_attached, ctx_detach, NULL);
    blk_unref(blk);
}

static void destruction_removes_the_root(void **state)
{
    TestNotifier n = { .notifier.notify = test_notify, .remove_itself = true };
    BlockBackend *blk = open_disk();
    uint8_t buf[512] = { 0 };

    (void)state;
    blk_add_remove_bs_notifier(blk, &n.notifier);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    blk_unref(blk);
    assert_int_equal(n.calls, 1);
    assert_int_equal(medium.flushed, 1);
    assert_int_equal(medium.closed, 1);
}

typedef struct RefInCallback {
    BlockBackend *blk;
    int refcnt_seen;
} RefInCallback;

static void ref_and_unref_cb(void *opaque, int ret)
{
    RefInCallback *r = opaque;

    (void)ret;
    r->refcnt_seen = blk_get_refcnt(r->blk);
    blk_ref(r->blk);
    blk_unref(r->blk);
}

static void destruction_waits_for_requests(void **state)
{
    RefInCallback r = { .blk = open_disk() };
    AioResult result = { 0 };
    struct iovec iov;
    QEMUIOVector qiov;
    uint8_t buf[512];

    (void)state;
    iov = (struct iovec){ buf, sizeof(buf) };
    qemu_iovec_init_external(&qiov, &iov, 1);
    medium.slow = true;
    blk_aio_readv(r.blk, 0, &qiov, 1, aio_result_cb, &result);
    blk_abort_aio_request(r.blk, ref_and_unref_cb, &r, -EIO);
    medium_go();
    blk_unref(r.blk);
    assert_int_equal(r.refcnt_seen, 1);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, 0);
    assert_int_equal(buf[0], 0x5a);
    assert_int_equal(medium.closed, 1);
}

typedef struct UnrefInCallback {
    BlockBackend *blk;
    bool done;
} UnrefInCallback;

static void unref_cb(void *opaque, int ret)
{
    UnrefInCallback *u = opaque;

    (void)ret;
    blk_unref(u->blk);
    u->done = true;
}

static void a_callback_may_drop_the_last_reference(void **state)
{
    UnrefInCallback u = { .blk = open_disk() };
    struct iovec iov;
    QEMUIOVector qiov;
    uint8_t buf[512];

    (void)state;
    iov = (struct iovec){ buf, sizeof(buf) };
    qemu_iovec_init_external(&qiov, &iov, 1);
    blk_aio_readv(u.blk, 0, &qiov, 1, unref_cb, &u);
    while (!u.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(medium.closed, 1);

    u = (UnrefInCallback){ .blk = blk_new(NULL) };
    blk_abort_aio_request(u.blk, unref_cb, &u, -EIO);
    while (!u.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void destruction_waits_for_callbacks_in_another_thread(void **state)
{
    LoopThread loop;

    (void)state;
    loop_thread_start(&loop);
    for (int i = 0; i < 200; i++) {
        BlockBackend *blk = open_disk();
        AioResult result = { 0 };
        struct iovec iov;
        QEMUIOVector qiov;
        uint8_t buf[512];

        iov = (struct iovec){ buf, sizeof(buf) };
        qemu_iovec_init_external(&qiov, &iov, 1);
        blk_set_aio_context(blk, loop.ctx);
        blk_aio_readv(blk, 0, &qiov, 1, aio_result_cb, &result);
        blk_unref(blk);
        assert_int_equal(result.calls, 1);
        assert_int_equal(result.ret, 0);
    }
    loop_thread_stop(&loop);
}

static void remove_all_takes_every_root_in_order_of_creation(void **state)
{
    TestNotifier n[3] = { { .calls = 0 } };
    BlockBackend *blk[4];

    (void)state;
    for (int i = 0; i < 3; i++) {
        blk[i] = open_disk();
        n[i].notifier.notify = test_notify;
        blk_add_remove_bs_notifier(blk[i], &n[i].notifier);
    }
    blk[3] = blk_new(NULL);
    monitor_add_blk(blk[2], "named", &error_abort);
    monitor_add_blk(blk[0], "hidden", &error_abort);
    blk_hide_on_behalf_of_hmp_drive_del(blk[0]);
    test_notifier_calls = 0;
    blk_remove_all_bs();
    for (int i = 0; i < 3; i++) {
        assert_null(blk_bs(blk[i]));
        assert_int_equal(n[i].place, i + 1);
        notifier_remove(&n[i].notifier);
    }
    assert_int_equal(medium.closed, 3);
    monitor_remove_blk(blk[2]);
    for (int i = 0; i < 4; i++) {
        blk_unref(blk[i]);
    }
}

static BlockBackend *another;

static void action_unref_both(TestNotifier *self, BlockBackend *blk)
{
    (void)self;
    blk_unref(blk);
    blk_unref(another);
}

static void remove_all_survives_backends_destroyed_by_notifiers(void **state)
{
    TestNotifier n = { .notifier.notify = test_notify, .remove_itself = true,
                       .action = action_unref_both };
    BlockBackend *first = open_disk(), *last;

    (void)state;
    another = open_disk();
    last = open_disk();
    blk_add_remove_bs_notifier(first, &n.notifier);
    blk_remove_all_bs();
    assert_int_equal(n.calls, 1);
    assert_int_equal(medium.closed, 3);
    assert_null(blk_bs(last));
    blk_unref(last);
}

static void open_gives_an_anonymous_backend_with_a_root(void **state)
{
    BlockBackend *blk = open_disk();

    (void)state;
    assert_int_equal(blk_get_refcnt(blk), 1);
    assert_string_equal(blk_name(blk), "");
    assert_null(blk_next(NULL));
    assert_true(blk_is_inserted(blk));
    assert_int_equal(blk_getlength(blk), MEDIUM_SIZE);
    assert_int_equal(bdrv_get_node_name(blk_bs(blk))[0], '#');
    blk_unref(blk);
    assert_int_equal(medium.closed, medium.opened);
}

static void open_flags_decide_the_mode(void **state)
{
    BlockBackend *blk = open_blk(NULL, 0);

    (void)state;
    assert_int_equal(blk_is_read_only(blk), 1);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    blk_unref(blk);
    blk = open_blk(NULL, BDRV_O_RDWR);
    assert_int_equal(blk_is_read_only(blk), 0);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    blk_unref(blk);
    blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    blk_unref(blk);
}

static void explicit_options_beat_cache_flags(void **state)
{
    QDict *options = driver_options("test", NULL);
    BlockBackend *blk;

    (void)state;
    qdict_put(options, "cache.writeback", qbool_from_bool(false));
    blk = blk_new_open(NULL, NULL, options, BDRV_O_CACHE_WB, &error_abort);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    blk_unref(blk);
}

static void open_takes_over_the_options(void **state)
{
    QDict *options = driver_options("test", NULL);
    Error *err = NULL;
    BlockBackend *blk;

    (void)state;
    QINCREF(options);
    blk = blk_new_open(NULL, NULL, options, 0, &error_abort);
    assert_int_equal(options->refcount, 1);
    blk_unref(blk);
    QDECREF(options);

    options = driver_options("no-such-driver", NULL);
    QINCREF(options);
    assert_null(blk_new_open(NULL, NULL, options, 0, &err));
    assert_int_equal(options->refcount, 1);
    QDECREF(options);
    assert_error(err, "no-such-driver");
}

static void assert_open_fails(const char *filename, QDict *options, int flags, const char *text)
{
    Error *err = NULL;

    assert_null(blk_new_open(filename, NULL, options, flags, &err));
    assert_error(err, text);
    assert_int_equal(medium.closed, medium.opened);
}

static void open_explains_what_is_wrong(void **state)
{
    BlockDriverState *bs = open_node("taken", 0);
    QDict *options;

    (void)state;
    medium.opened = 0;
    assert_open_fails(NULL, NULL, 0, "");
    assert_open_fails(NULL, driver_options("test", "taken"), 0, "taken");
    assert_open_fails(NULL, driver_options("test", "1st"), 0, "1st");
    options = driver_options("test", NULL);
    qdict_put(options, "colour", qstring_from_str("red"));
    assert_open_fails(NULL, options, 0, "colour");
    options = driver_options("test", NULL);
    qdict_put(options, "filename", qstring_from_str("a"));
    assert_open_fails("b", options, 0, "filename");
    assert_open_fails(NULL, driver_options("test", NULL), BDRV_O_COPY_ON_READ, "");
    bdrv_unref(bs);
}

static void open_takes_json(void **state)
{
    BlockBackend *blk = blk_new_open("json:{\"driver\": \"test\", \"node-name\": \"low\"}", NULL,
                                     driver_options("test", "high"), 0, &error_abort);

    (void)state;
    assert_string_equal(bdrv_get_node_name(blk_bs(blk)), "high");
    blk_unref(blk);
}

static void reference_opens_a_node(void **state)
{
    BlockDriverState *bs = open_node("disk", BDRV_O_RDWR);
    BlockBackend *blk = blk_new_open(NULL, "disk", NULL, 0, &error_abort);

    (void)state;
    assert_ptr_equal(blk_bs(blk), bs);
    assert_int_equal(blk_is_read_only(blk), 0);
    bdrv_unref(bs);
    assert_int_equal(medium.closed, 0);
    blk_unref(blk);
    assert_int_equal(medium.closed, 1);
}

static void assert_reference_fails(const char *filename, const char *reference, QDict *options)
{
    Error *err = NULL;

    assert_null(blk_new_open(filename, reference, options, 0, &err));
    assert_error(err, "");
}

static void reference_refuses_what_cannot_be_a_root(void **state)
{
    BlockBackend *empty = blk_new(NULL), *disk = open_blk("node", 0);
    BlockDriverState *bs = open_node("free", 0);

    (void)state;
    monitor_add_blk(empty, "empty", &error_abort);
    monitor_add_blk(disk, "disk", &error_abort);
    assert_reference_fails(NULL, "nobody", NULL);
    assert_reference_fails(NULL, "empty", NULL);
    assert_reference_fails(NULL, "disk", NULL);
    assert_reference_fails(NULL, "node", NULL);
    assert_reference_fails("test:", "free", NULL);
    assert_reference_fails(NULL, "free", driver_options("test", NULL));
    bdrv_unref(bs);
    monitor_remove_blk(empty);
    monitor_remove_blk(disk);
    blk_unref(empty);
    blk_unref(disk);
    assert_int_equal(medium.closed, medium.opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(new_is_empty),
        BLK_TEST(new_is_not_named),
        BLK_TEST(plug_count_starts_at_zero),
        BLK_TEST(new_with_bs_has_a_driverless_root),
        BLK_TEST(references_are_counted),
        BLK_TEST(null_has_no_references),
        BLK_TEST(a_dying_backend_cannot_be_referenced),
        BLK_TEST(destroying_a_named_one_aborts),
        BLK_TEST(destroying_with_a_device_aborts),
        BLK_TEST(destroying_with_notifiers_aborts),
        BLK_TEST(destruction_removes_the_root),
        BLK_TEST(destruction_waits_for_requests),
        BLK_TEST(destruction_waits_for_callbacks_in_another_thread),
        BLK_TEST(a_callback_may_drop_the_last_reference),
        BLK_TEST(remove_all_takes_every_root_in_order_of_creation),
        BLK_TEST(remove_all_survives_backends_destroyed_by_notifiers),
        BLK_TEST(open_gives_an_anonymous_backend_with_a_root),
        BLK_TEST(open_flags_decide_the_mode),
        BLK_TEST(explicit_options_beat_cache_flags),
        BLK_TEST(open_takes_over_the_options),
        BLK_TEST(open_explains_what_is_wrong),
        BLK_TEST(open_takes_json),
        BLK_TEST(reference_opens_a_node),
        BLK_TEST(reference_refuses_what_cannot_be_a_root),
    };

    return cmocka_run_group_tests_name("backend-life", tests, blk_test_setup, NULL);
}
