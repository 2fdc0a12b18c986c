/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Root node: coming, going, and what happens to requests meanwhile. */
#include "blk-test.h"

typedef struct OneSector {
    uint8_t buf[512];
    struct iovec iov;
    QEMUIOVector qiov;
} OneSector;

static QEMUIOVector *one_sector(OneSector *s)
{
    s->iov = (struct iovec){ s->buf, sizeof(s->buf) };
    qemu_iovec_init_external(&s->qiov, &s->iov, 1);
    return &s->qiov;
}

static void insert_takes_a_reference_of_its_own(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *bs = open_node("disk", 0);

    (void)state;
    blk_insert_bs(blk, bs);
    assert_ptr_equal(blk_bs(blk), bs);
    bdrv_unref(bs);
    assert_ptr_equal(bdrv_find_node("disk"), bs);
    blk_remove_bs(blk);
    assert_null(blk_bs(blk));
    assert_null(bdrv_find_node("disk"));
    blk_unref(blk);
}

static void remove_drops_only_its_own_reference(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *bs = open_node(NULL, BDRV_O_RDWR);

    (void)state;
    blk_insert_bs(blk, bs);
    blk_remove_bs(blk);
    assert_int_equal(medium.closed, 0);
    blk_insert_bs(blk, bs);     /* and the node may come back */
    blk_remove_bs(blk);
    bdrv_unref(bs);
    assert_int_equal(medium.closed, 1);
    blk_unref(blk);
}

static void the_last_reference_flushes_and_closes(void **state)
{
    BlockBackend *blk = open_disk();

    (void)state;
    blk_remove_bs(blk);
    assert_int_equal(medium.flushed, 1);
    assert_int_equal(medium.closed, 1);
    blk_unref(blk);
}

static void broken_preconditions_abort(void **state)
{
    BlockBackend *empty = blk_new(NULL), *blk = open_disk();
    BlockDriverState *bs = open_node(NULL, 0);

    (void)state;
    EXPECT_ABORT(blk_remove_bs(empty));
    EXPECT_ABORT(blk_insert_bs(blk, bs));
    EXPECT_ABORT(blk_insert_bs(empty, blk_bs(blk)));
    bdrv_unref(bs);
    blk_unref(empty);
    blk_unref(blk);
}

static void remove_notifiers_see_the_old_root(void **state)
{
    TestNotifier first = { .notifier.notify = test_notify };
    TestNotifier last = { .notifier.notify = test_notify, .remove_itself = true };
    BlockBackend *blk = open_disk();
    BlockDriverState *bs = blk_bs(blk);

    (void)state;
    test_notifier_calls = 0;
    blk_add_remove_bs_notifier(blk, &first.notifier);
    blk_add_remove_bs_notifier(blk, &last.notifier);
    bdrv_ref(bs);
    blk_remove_bs(blk);
    assert_int_equal(last.place, 1);        /* newest first */
    assert_int_equal(first.place, 2);
    assert_ptr_equal(first.root, bs);
    assert_ptr_equal(first.data, blk);
    blk_insert_bs(blk, bs);
    blk_remove_bs(blk);
    assert_int_equal(first.calls, 2);
    assert_int_equal(last.calls, 1);
    notifier_remove(&first.notifier);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void insert_notifiers_see_the_new_root(void **state)
{
    TestNotifier first = { .notifier.notify = test_notify };
    TestNotifier last = { .notifier.notify = test_notify };
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *bs = open_node(NULL, 0);

    (void)state;
    test_notifier_calls = 0;
    blk_add_insert_bs_notifier(blk, &first.notifier);
    blk_add_insert_bs_notifier(blk, &last.notifier);
    blk_insert_bs(blk, bs);
    assert_int_equal(last.place, 1);
    assert_int_equal(first.place, 2);
    assert_ptr_equal(first.root, bs);
    assert_ptr_equal(first.data, blk);
    blk_remove_bs(blk);
    assert_int_equal(first.calls, 1);
    notifier_remove(&first.notifier);
    notifier_remove(&last.notifier);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void requests_in_flight_complete_before_the_root_goes(void **state)
{
    BlockBackend *blk = open_disk();
    AioResult result = { 0 };
    OneSector s;

    (void)state;
    medium.slow = true;
    blk_aio_readv(blk, 0, one_sector(&s), 1, aio_result_cb, &result);
    medium_go();
    blk_remove_bs(blk);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, 0);
    blk_unref(blk);
}

typedef struct Resubmit {
    BlockBackend *blk;
    OneSector s;
    AioResult second;
} Resubmit;

static void resubmit_cb(void *opaque, int ret)
{
    Resubmit *r = opaque;

    assert_int_equal(ret, 0);
    blk_aio_readv(r->blk, 0, &r->s.qiov, 1, aio_result_cb, &r->second);
}

static void requests_that_come_during_removal_find_no_medium(void **state)
{
    Resubmit r = { .blk = open_disk() };

    (void)state;
    medium.slow = true;
    blk_aio_readv(r.blk, 0, one_sector(&r.s), 1, resubmit_cb, &r);
    medium_go();
    blk_remove_bs(r.blk);
    aio_result_wait(&r.second);
    assert_int_equal(r.second.ret, -ENOMEDIUM);
    assert_int_equal(medium.reads, 1);
    blk_unref(r.blk);
}

static void without_a_root_everything_fails(void **state)
{
    BlockBackend *blk = open_disk();
    AioResult result = { 0 };
    uint64_t sectors = 1;
    OneSector s;

    (void)state;
    blk_remove_bs(blk);
    assert_int_equal(blk_read(blk, 0, s.buf, 1), -ENOMEDIUM);
    assert_int_equal(blk_pwrite(blk, 0, s.buf, 512), -ENOMEDIUM);
    assert_int_equal(blk_flush(blk), -ENOMEDIUM);
    assert_int_equal(blk_getlength(blk), -ENOMEDIUM);
    blk_get_geometry(blk, &sectors);
    assert_int_equal(sectors, 0);
    assert_false(blk_is_inserted(blk));
    assert_false(blk_is_available(blk));
    blk_aio_readv(blk, 0, one_sector(&s), 1, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    aio_result_wait(&result);
    assert_int_equal(result.ret, -ENOMEDIUM);
    blk_unref(blk);
}

static int events;

static void count_event(void *opaque, const BlkEvent *event)
{
    (void)opaque;
    (void)event;
    events++;
}

static int media_changes;

static void count_media_change(void *opaque, bool load)
{
    (void)opaque;
    (void)load;
    media_changes++;
}

static void moving_the_root_touches_nothing_else(void **state)
{
    const BlockDevOps ops = { .change_media_cb = count_media_change };
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB);
    BlockDriverState *bs = open_node(NULL, 0);
    BlockAcctStats *stats = blk_get_stats(blk);

    (void)state;
    events = 0;
    media_changes = 0;
    blkbackend_set_event_fn(count_event, NULL);
    blk_set_dev_ops(blk, &ops, NULL);
    blk_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_IGNORE);
    blk_iostatus_enable(blk);
    blk_iostatus_set_err(blk, EIO);
    block_acct_invalid(stats, BLOCK_ACCT_WRITE);

    blk_remove_bs(blk);
    blk_insert_bs(blk, bs);
    assert_int_equal(blk_get_on_error(blk, true), BLOCKDEV_ON_ERROR_STOP);
    assert_int_equal(blk_get_on_error(blk, false), BLOCKDEV_ON_ERROR_IGNORE);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_FAILED);
    assert_ptr_equal(blk_get_stats(blk), stats);
    assert_int_equal(stats->invalid_ops[BLOCK_ACCT_WRITE], 1);
    /* Nor is the remembered state applied to the new one. */
    assert_int_equal(blk_is_read_only(blk), 1);
    assert_int_equal(blk_enable_write_cache(blk), 0);
    assert_int_equal(events, 0);
    assert_int_equal(media_changes, 0);
    blkbackend_set_event_fn(NULL, NULL);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void blockers_stay_with_the_node(void **state)
{
    BlockBackend *blk = open_disk();
    BlockDriverState *bs = blk_bs(blk);
    Error *reason = NULL;

    (void)state;
    error_setg(&reason, "because");
    bdrv_ref(bs);
    blk_op_block_all(blk, reason);
    blk_remove_bs(blk);
    assert_false(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    blk_insert_bs(blk, bs);
    assert_true(blk_op_is_blocked(blk, BLOCK_OP_TYPE_RESIZE, NULL));
    blk_op_unblock_all(blk, reason);
    error_free(reason);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void beyond_eof_survives_a_medium_change(void **state)
{
    BlockBackend *blk = open_disk();
    BlockDriverState *bs = open_node(NULL, 0);
    uint8_t buf[512];

    (void)state;
    assert_int_equal(blk_pread(blk, MEDIUM_SIZE, buf, 512), -EIO);
    blk_set_allow_write_beyond_eof(blk, true);
    memset(buf, 1, sizeof(buf));
    assert_int_equal(blk_pread(blk, MEDIUM_SIZE, buf, 512), 512);
    assert_int_equal(buf[0] | buf[511], 0);
    blk_remove_bs(blk);
    blk_insert_bs(blk, bs);
    assert_int_equal(blk_pread(blk, MEDIUM_SIZE, buf, 512), 512);
    blk_set_allow_write_beyond_eof(blk, false);
    assert_int_equal(blk_pread(blk, MEDIUM_SIZE, buf, 512), -EIO);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void plugging_goes_over_to_the_next_root(void **state)
{
    BlockBackend *blk = open_disk();
    BlockDriverState *bs = open_node(NULL, 0);

    (void)state;
    blk_io_plug(blk);
    blk_io_plug(blk);
    assert_int_equal(medium.plugged, 1);
    blk_remove_bs(blk);
    assert_int_equal(medium.plugged, 0);        /* the node may go on without us */
    blk_io_unplug(blk);
    blk_insert_bs(blk, bs);
    assert_int_equal(medium.plugged, 1);
    blk_io_unplug(blk);
    assert_int_equal(medium.plugged, 0);
    blk_remove_bs(blk);
    blk_io_plug(blk);
    blk_insert_bs(blk, bs);
    assert_int_equal(medium.plugged, 1);
    blk_io_unplug(blk);
    assert_int_equal(medium.plugged, 0);
    bdrv_unref(bs);
    blk_unref(blk);
}

typedef struct Asker {
    BlockBackend *blk;
    atomic_bool stop;
} Asker;

static void *ask(void *opaque)
{
    Asker *asker = opaque;

    while (!atomic_load(&asker->stop)) {
        blk_is_read_only(asker->blk);
        blk_enable_write_cache(asker->blk);
        blk_is_inserted(asker->blk);
        blk_get_flags(asker->blk);
        blk_get_max_iov(asker->blk);
        qemu_vfree(blk_blockalign(asker->blk, 512));
    }
    return NULL;
}

static void threads_may_ask_while_media_change(void **state)
{
    Asker asker = { .blk = blk_new(NULL) };
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    for (int i = 0; i < 300; i++) {
        BlockDriverState *bs = open_node(NULL, BDRV_O_RDWR);

        blk_insert_bs(asker.blk, bs);
        bdrv_unref(bs);
        blk_remove_bs(asker.blk);
    }
    atomic_store(&asker.stop, true);
    pthread_join(thread, NULL);
    blk_unref(asker.blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(insert_takes_a_reference_of_its_own),
        BLK_TEST(remove_drops_only_its_own_reference),
        BLK_TEST(the_last_reference_flushes_and_closes),
        BLK_TEST(broken_preconditions_abort),
        BLK_TEST(remove_notifiers_see_the_old_root),
        BLK_TEST(insert_notifiers_see_the_new_root),
        BLK_TEST(requests_in_flight_complete_before_the_root_goes),
        BLK_TEST(requests_that_come_during_removal_find_no_medium),
        BLK_TEST(without_a_root_everything_fails),
        BLK_TEST(moving_the_root_touches_nothing_else),
        BLK_TEST(blockers_stay_with_the_node),
        BLK_TEST(beyond_eof_survives_a_medium_change),
        BLK_TEST(plugging_goes_over_to_the_next_root),
        BLK_TEST(threads_may_ask_while_media_change),
    };

    return cmocka_run_group_tests_name("backend-root", tests, blk_test_setup, NULL);
}
