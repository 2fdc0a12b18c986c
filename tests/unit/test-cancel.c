/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F43, F44, F91, F100: cancelling, AIOCBs of one's own, requests that only deliver a result. */
#include "testfmt.h"

/* ---- ordinary requests cannot be withdrawn ---- */

static uint8_t buf[CLUSTER];
static QEMUIOVector qiov;
static struct iovec iov = { buf, sizeof(buf) };

static int reset(void **state)
{
    qemu_iovec_init_external(&qiov, &iov, 1);
    return images_reset(state);
}

static void resume(void *opaque)
{
    aio_co_wake(opaque);
}

static void cancel_waits_and_the_request_succeeds(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);
    AioResult result = { 0 };
    BlockAIOCB *acb;

    (void)state;
    top->hold = true;
    acb = blk_aio_pwritev(blk, 0, &qiov, 0, aio_result_cb, &result);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
    blk_aio_cancel(acb);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, 0);

    acb = blk_aio_flush(blk, aio_result_cb, &result);
    blk_aio_cancel(acb);
    assert_int_equal(result.calls, 2);
    assert_int_equal(result.ret, 0);
    acb = blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &result);
    blk_aio_cancel_async(acb);
    assert_int_equal(result.calls, 2);      /* at once, and the callback still comes */
    blk_drain(blk);
    assert_int_equal(result.calls, 3);
    assert_int_equal(result.ret, 0);
    blk_unref(blk);
}

static void cancel_without_a_medium(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    AioResult result = { 0 };

    (void)state;
    blk_aio_cancel(blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &result));
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, -ENOMEDIUM);
    blk_unref(blk);
}

static void cancel_of_a_request_in_another_thread(void **state)
{
    AioResult result = { 0 };
    BlockBackend *blk;
    LoopThread loop;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    for (int i = 1; i <= 100; i++) {
        /* Else it might end, and its AIOCB go, before we can cancel it. */
        aio_context_acquire(loop.ctx);
        blk_aio_cancel(blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &result));
        aio_context_release(loop.ctx);
        assert_int_equal(atomic_load(&result.calls), i);
        assert_int_equal(result.ret, 0);
    }
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    blk_unref(blk);
}

static int64_t now_ns;

static int64_t stepped_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static void advance_clock(void *opaque)
{
    (void)opaque;
    now_ns += 10000000000;
    aio_notify(qemu_get_aio_context());
}

static void a_throttled_one_waits_for_its_turn(void **state)
{
    AioResult first = { 0 }, second = { 0 };
    ThrottleConfig cfg;
    BlockBackend *blk;
    BlockAIOCB *acb;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blkbackend_set_clock(stepped_clock, NULL);
    blk = open_image("top", RW);
    throttle_config_init(&cfg);
    cfg.buckets[THROTTLE_BPS_TOTAL].avg = CLUSTER;
    blk_io_limits_enable(blk, "g");
    blk_set_io_limits(blk, &cfg);
    blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &first);
    acb = blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &second);
    assert_int_equal(aio_result_wait(&first), 0);
    blk_aio_cancel_async(acb);
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
    assert_int_equal(second.calls, 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), advance_clock, NULL);
    blk_aio_cancel(acb);
    assert_int_equal(second.calls, 1);
    assert_int_equal(second.ret, 0);
    assert_int_equal(now_ns, 10000000000);
    blk_unref(blk);
    blkbackend_set_clock(NULL, NULL);
}

/* ---- AIOCBs of one's own ---- */

typedef struct MyAIOCB {
    BlockAIOCB common;
    AioContext *ctx;
    QEMUBH *bh;
    bool cancelled;
} MyAIOCB;

static void my_done(void *opaque)
{
    MyAIOCB *acb = opaque;

    qemu_bh_delete(acb->bh);
    acb->common.cb(acb->common.opaque, acb->cancelled ? -ECANCELED : 0);
    qemu_aio_unref(acb);
}

static void my_cancel_async(BlockAIOCB *common)
{
    MyAIOCB *acb = (MyAIOCB *)common;

    acb->cancelled = true;
    qemu_bh_schedule(acb->bh);
}

static AioContext *my_context(BlockAIOCB *common)
{
    return ((MyAIOCB *)common)->ctx;
}

static const AIOCBInfo my_info = {
    .cancel_async = my_cancel_async,
    .get_aio_context = my_context,
    .aiocb_size = sizeof(MyAIOCB),
};

static const AIOCBInfo my_info_by_node = {
    .cancel_async = my_cancel_async,
    .aiocb_size = sizeof(MyAIOCB),
};

static MyAIOCB *my_operation(const AIOCBInfo *info, BlockBackend *blk, AioResult *result)
{
    MyAIOCB *acb = blk_aio_get(info, blk, aio_result_cb, result);

    acb->ctx = blk_get_aio_context(blk);
    acb->bh = aio_bh_new(acb->ctx, my_done, acb);
    acb->cancelled = false;
    return acb;
}

static void ones_own_has_one_reference_and_the_root(void **state)
{
    BlockBackend *blk = blk_new(NULL), *disk;
    AioResult result = { 0 };
    MyAIOCB *acb = my_operation(&my_info, blk, &result);

    (void)state;
    image_make("top", CLUSTER, NULL);
    disk = open_image("top", RW);
    assert_null(acb->common.bs);
    assert_ptr_equal(acb->common.aiocb_info, &my_info);
    assert_int_equal(acb->common.refcnt, 1);
    assert_ptr_equal(acb->common.opaque, &result);
    qemu_bh_schedule(acb->bh);
    assert_int_equal(aio_result_wait(&result), 0);

    acb = my_operation(&my_info, disk, &result);
    assert_ptr_equal(acb->common.bs, blk_bs(disk));
    /* Nobody's request but mine: a drain does not wait for it. */
    blk_drain(disk);
    assert_int_equal(result.calls, 1);
    qemu_aio_ref(acb);
    qemu_bh_schedule(acb->bh);
    while (result.calls < 2) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(acb->common.refcnt, 1);
    qemu_aio_unref(acb);
    blk_unref(disk);
    blk_unref(blk);
}

static void ones_own_can_be_withdrawn(void **state)
{
    BlockBackend *empty = blk_new(NULL), *disk;
    AioResult result = { 0 };

    (void)state;
    image_make("top", CLUSTER, NULL);
    disk = open_image("top", RW);
    blk_aio_cancel(&my_operation(&my_info, empty, &result)->common);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, -ECANCELED);
    blk_aio_cancel(&my_operation(&my_info_by_node, disk, &result)->common);
    assert_int_equal(result.calls, 2);
    assert_int_equal(result.ret, -ECANCELED);
    blk_aio_cancel_async(&my_operation(&my_info, empty, &result)->common);
    assert_int_equal(result.calls, 2);
    while (result.calls < 3) {
        aio_poll(qemu_get_aio_context(), true);
    }
    blk_unref(disk);
    blk_unref(empty);
}

/* ---- blk_abort_aio_request() ---- */

static void abort_request_delivers_its_result(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    AioResult result = { 0 };

    (void)state;
    blk_abort_aio_request(blk, aio_result_cb, &result, -EILSEQ);
    assert_int_equal(result.calls, 0);
    blk_drain(blk);         /* waits for it, even without a root [D16] */
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, -EILSEQ);
    blk_abort_aio_request(blk, aio_result_cb, &result, 42);
    blk_drain_all();
    assert_int_equal(result.calls, 2);
    assert_int_equal(result.ret, 42);
    blk_aio_cancel(blk_abort_aio_request(blk, aio_result_cb, &result, -EIO));
    assert_int_equal(result.calls, 3);
    assert_int_equal(result.ret, -EIO);
    blk_abort_aio_request(blk, aio_result_cb, &result, 0);
    blk_unref(blk);
    assert_int_equal(result.calls, 4);
    assert_int_equal(result.ret, 0);
}

typedef struct WhereCalled {
    AioResult result;
    AioContext *ctx;
} WhereCalled;

static void note_where(void *opaque, int ret)
{
    WhereCalled *where = opaque;

    where->ctx = qemu_get_current_aio_context();
    aio_result_cb(&where->result, ret);
}

static void abort_request_calls_in_the_backends_context(void **state)
{
    WhereCalled where = { .ctx = NULL };
    BlockBackend *blk;
    LoopThread loop;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    blk_abort_aio_request(blk, note_where, &where, -EIO);
    blk_drain(blk);
    assert_int_equal(atomic_load(&where.result.calls), 1);
    assert_ptr_equal(where.ctx, loop.ctx);
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cancel_waits_and_the_request_succeeds, reset),
        cmocka_unit_test_setup(cancel_without_a_medium, reset),
        cmocka_unit_test_setup(cancel_of_a_request_in_another_thread, reset),
        cmocka_unit_test_setup(a_throttled_one_waits_for_its_turn, reset),
        cmocka_unit_test_setup(ones_own_has_one_reference_and_the_root, reset),
        cmocka_unit_test_setup(ones_own_can_be_withdrawn, reset),
        cmocka_unit_test_setup(abort_request_delivers_its_result, reset),
        cmocka_unit_test_setup(abort_request_calls_in_the_backends_context, reset),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
