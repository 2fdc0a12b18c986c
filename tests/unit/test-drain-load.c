/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for requests (F53, F54, §3.8), from everywhere and under load; and
 * plugging (F84, F85, §3.15), whose held-back requests a wait must not wait for.
 */
#include <sched.h>

#include "testfmt.h"

static uint8_t buf[CLUSTER];
static struct iovec iov = { buf, sizeof(buf) };
static QEMUIOVector qiov = { &iov, 1, -1, sizeof(buf) };

/* ---- a driver that batches: while plugged it queues up to QUEUE_MAX requests ---- */

#define QUEUE_MAX 4

static struct {
    pthread_mutex_t lock;
    int depth, plugs, unplugs;
    int queued, submitted;
    Coroutine *queue[QUEUE_MAX];
} batch = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int batch_reset(void **state)
{
    batch.depth = batch.plugs = batch.unplugs = batch.queued = batch.submitted = 0;
    return images_reset(state);
}

/* Locked. */
static void batch_submit(void)
{
    for (int i = 0; i < batch.queued; i++) {
        batch.submitted++;
        aio_co_wake(batch.queue[i]);
    }
    batch.queued = 0;
}

static int coroutine_fn batch_rw(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *vec, int flags)
{
    (void)bs;
    (void)offset;
    (void)bytes;
    (void)vec;
    (void)flags;
    pthread_mutex_lock(&batch.lock);
    if (batch.depth == 0) {
        batch.submitted++;
        pthread_mutex_unlock(&batch.lock);
        return 0;
    }
    batch.queue[batch.queued++] = qemu_coroutine_self();
    if (batch.queued == QUEUE_MAX) {
        batch_submit();
    }
    pthread_mutex_unlock(&batch.lock);
    qemu_coroutine_yield();
    return 0;
}

static int64_t coroutine_fn batch_getlength(BlockDriverState *bs)
{
    (void)bs;
    return IMAGE_MAX;
}

static void batch_plug(BlockDriverState *bs)
{
    (void)bs;
    pthread_mutex_lock(&batch.lock);
    batch.depth++;
    batch.plugs++;
    pthread_mutex_unlock(&batch.lock);
}

static void batch_unplug(BlockDriverState *bs)
{
    (void)bs;
    pthread_mutex_lock(&batch.lock);
    batch.unplugs++;
    if (--batch.depth == 0) {
        batch_submit();
    }
    pthread_mutex_unlock(&batch.lock);
}

static BlockDriver testbatch_driver = {
    .format_name = "testbatch",
    .protocol_name = "testbatch",
    .bdrv_co_getlength = batch_getlength,
    .bdrv_co_preadv = batch_rw,
    .bdrv_co_pwritev = batch_rw,
    .bdrv_io_plug = batch_plug,
    .bdrv_io_unplug = batch_unplug,
};
BLOCK_DRIVER(testbatch_driver)

static BlockBackend *open_batch(void)
{
    return blk_new_open(NULL, NULL, options_of("'driver':'testbatch'"), RW, &error_abort);
}

static void poll_all(void)
{
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
}

static void submit(BlockBackend *blk, int n, AioResult *result)
{
    for (int i = 0; i < n; i++) {
        blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, result);
    }
    poll_all();
}

static void plugging_holds_back_until_the_outermost_unplug(void **state)
{
    BlockBackend *blk = open_batch();
    AioResult result = { 0 };

    (void)state;
    blk_io_plug(blk);
    blk_io_plug(blk);
    assert_int_equal(batch.plugs, 1);
    submit(blk, 3, &result);
    assert_int_equal(batch.submitted, 0);
    blk_io_unplug(blk);
    poll_all();
    assert_int_equal(batch.submitted, 0);
    blk_io_unplug(blk);
    assert_int_equal(batch.submitted, 3);
    blk_drain(blk);
    assert_int_equal(result.calls, 3);
    blk_unref(blk);
}

static void a_full_queue_is_submitted(void **state)
{
    BlockBackend *blk = open_batch();
    AioResult result = { 0 };

    (void)state;
    blk_io_plug(blk);
    submit(blk, QUEUE_MAX + 1, &result);
    assert_int_equal(batch.submitted, QUEUE_MAX);
    assert_int_equal(result.calls, QUEUE_MAX);
    blk_io_unplug(blk);
    blk_drain(blk);
    assert_int_equal(result.calls, QUEUE_MAX + 1);
    blk_unref(blk);
}

static void drains_submit_what_is_plugged(void **state)
{
    BlockBackend *blk = open_batch();
    AioResult result = { 0 };

    (void)state;
    blk_io_plug(blk);
    submit(blk, 2, &result);
    assert_int_equal(result.calls, 0);
    blk_drain(blk);
    assert_int_equal(result.calls, 2);
    assert_int_equal(batch.depth, 1);       /* and it is plugged again */
    submit(blk, 2, &result);
    assert_int_equal(result.calls, 2);
    blk_drain_all();
    assert_int_equal(result.calls, 4);
    submit(blk, 2, &result);
    blk_drained_begin(blk);
    assert_int_equal(result.calls, 6);
    blk_drained_end(blk);
    submit(blk, 2, &result);
    bdrv_drained_begin(blk_bs(blk));
    assert_int_equal(result.calls, 8);
    assert_int_equal(batch.depth, 0);
    bdrv_drained_end(blk_bs(blk));
    assert_int_equal(batch.depth, 1);
    submit(blk, 2, &result);
    blk_set_aio_context(blk, qemu_get_aio_context());
    assert_int_equal(result.calls, 10);
    submit(blk, 2, &result);
    blk_unref(blk);         /* plugged still: its end is a drain too */
    assert_int_equal(result.calls, 12);
    assert_int_equal(batch.depth, 0);
}

static void plugging_begun_in_a_drained_section_waits_for_its_end(void **state)
{
    BlockBackend *blk = open_batch();

    (void)state;
    blk_drained_begin(blk);
    blk_io_plug(blk);
    assert_int_equal(batch.depth, 0);
    blk_drained_end(blk);
    assert_int_equal(batch.depth, 1);
    blk_drained_begin(blk);
    blk_io_unplug(blk);
    blk_drained_end(blk);
    assert_int_equal(batch.depth, 0);
    assert_int_equal(batch.plugs, batch.unplugs);
    blk_unref(blk);
}

typedef struct SyncInCoroutine {
    BlockBackend *blk;
    int ret;
} SyncInCoroutine;

static void coroutine_fn sync_read(void *opaque)
{
    SyncInCoroutine *s = opaque;

    s->ret = blk_pread(s->blk, 0, buf, 512);
}

static void synchronous_requests_complete_while_plugged(void **state)
{
    BlockBackend *blk = open_batch();
    SyncInCoroutine s = { .blk = blk };
    AioResult result = { 0 };

    (void)state;
    blk_io_plug(blk);
    submit(blk, 1, &result);
    assert_int_equal(blk_pread(blk, 0, buf, 512), 512);
    assert_int_equal(blk_pwrite(blk, 0, buf, 512), 512);
    assert_int_equal(blk_flush(blk), 0);
    in_coroutine(sync_read, &s);
    assert_int_equal(s.ret, 512);
    assert_int_equal(batch.depth, 1);
    blk_io_unplug(blk);
    blk_drain(blk);
    assert_int_equal(result.calls, 1);
    blk_unref(blk);
}

static void the_count_goes_over_to_a_new_root(void **state)
{
    BlockBackend *blk = blk_new(NULL), *first = open_batch();
    BlockDriverState *bs = blk_bs(first);

    (void)state;
    bdrv_ref(bs);
    blk_unref(first);
    blk_io_plug(blk);               /* no root: nobody to tell yet */
    assert_int_equal(batch.depth, 0);
    blk_insert_bs(blk, bs);
    assert_int_equal(batch.depth, 1);
    blk_remove_bs(blk);
    assert_int_equal(batch.depth, 0);
    blk_insert_bs(blk, bs);
    blk_io_unplug(blk);
    assert_int_equal(batch.depth, 0);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void the_topmost_driver_that_batches_is_told(void **state)
{
    BlockBackend *blk = blk_new_open(NULL, NULL, options_of("'driver':'raw',"
                                                            "'file.driver':'testbatch'"), RW,
                                     &error_abort);
    BlockBackend *plain;

    (void)state;
    image_make("top", CLUSTER, NULL);
    plain = open_image("top", RW);
    blk_io_plug(blk);
    assert_int_equal(batch.depth, 1);
    blk_io_unplug(blk);
    blk_io_plug(plain);             /* a driver without batching */
    assert_read(plain, 0, 512, 0);
    blk_io_unplug(plain);
    blk_unref(plain);
    blk_unref(blk);
}

static void unplug_once_too_often(void)
{
    blk_io_unplug(blk_new(NULL));
}

static void unplugging_too_often_aborts(void **state)
{
    (void)state;
#ifndef UNDER_TSAN
    assert_dies(unplug_once_too_often);
#else
    (void)unplug_once_too_often;
#endif
}

/* ---- draining from everywhere ---- */

static void resume(void *opaque)
{
    aio_co_wake(opaque);
}

static void coroutine_fn drain_in_coroutine(void *opaque)
{
    blk_drain(opaque);
}

static void from_a_coroutine(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);
    AioResult result = { 0 };

    (void)state;
    top->hold = true;
    blk_aio_pwritev(blk, 0, &qiov, 0, aio_result_cb, &result);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
    in_coroutine(drain_in_coroutine, blk);
    assert_int_equal(result.calls, 1);
    blk_unref(blk);
}

typedef struct DrainingCallback {
    BlockBackend *blk;
    AioResult *other;
    int calls;
    bool all;
} DrainingCallback;

static void drain_in_callback(void *opaque, int ret)
{
    DrainingCallback *d = opaque;

    assert_int_equal(ret, 0);
    if (d->all) {
        blk_drain_all();
    } else {
        blk_drain(d->blk);
    }
    assert_int_equal(d->other->calls, 1);
    d->calls++;
}

static void from_a_callback(void **state)
{
    BlockBackend *blk;
    TestImage *top = image_make("top", CLUSTER, NULL);

    (void)state;
    blk = open_image("top", RW);
    for (int all = 0; all < 2; all++) {
        AioResult other = { 0 };
        DrainingCallback d = { .blk = blk, .other = &other, .all = all };

        top->hold = true;
        blk_aio_pwritev(blk, 0, &qiov, 0, aio_result_cb, &other);
        blk_aio_flush(blk, drain_in_callback, &d);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
        blk_drain(blk);
        assert_int_equal(d.calls, 1);
    }
    blk_unref(blk);
}

static void *drain_from_thread(void *opaque)
{
    blk_drain(opaque);
    return NULL;
}

/* The thread waits, and the main loop goes on. */
static void from_another_thread(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);
    AioResult result = { 0 };
    pthread_t thread;

    (void)state;
    top->hold = true;
    blk_aio_pwritev(blk, 0, &qiov, 0, aio_result_cb, &result);
    assert_int_equal(pthread_create(&thread, NULL, drain_from_thread, blk), 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        aio_poll(qemu_get_aio_context(), false);
    }
    assert_int_equal(result.calls, 1);
    blk_unref(blk);
}

static void early_errors_are_waited_for(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    AioResult result = { 0 };

    (void)state;
    blk_aio_preadv(blk, 0, &qiov, 0, aio_result_cb, &result);
    blk_aio_flush(blk, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    blk_drain(blk);
    assert_int_equal(result.calls, 2);
    blk_unref(blk);
}

/* ---- requests submitted meanwhile ---- */

typedef struct Chain {
    BlockBackend *blk[2];
    int left, calls;
} Chain;

static void chain_next(void *opaque, int ret)
{
    Chain *c = opaque;

    assert_int_equal(ret, 0);
    c->calls++;
    if (c->left-- > 0) {
        blk_aio_preadv(c->blk[c->left % 2], 0, &qiov, 0, chain_next, c);
    }
}

static void callbacks_may_submit_more(void **state)
{
    Chain c = { .left = 10 };

    (void)state;
    image_make("one", CLUSTER, NULL);
    image_make("two", CLUSTER, NULL);
    c.blk[0] = c.blk[1] = open_image("one", RW);
    blk_aio_preadv(c.blk[0], 0, &qiov, 0, chain_next, &c);
    blk_drain(c.blk[0]);
    assert_int_equal(c.calls, 11);

    /* From one backend to the other and back. */
    c.blk[1] = open_image("two", RW);
    c.left = 10;
    c.calls = 0;
    blk_aio_preadv(c.blk[0], 0, &qiov, 0, chain_next, &c);
    blk_drain_all();
    assert_int_equal(c.calls, 11);
    blk_unref(c.blk[0]);
    blk_unref(c.blk[1]);
}

static void coroutine_fn drain_all_in_coroutine(void *opaque)
{
    (void)opaque;
    blk_drain_all();
}

static void drain_all_in_a_coroutine(void)
{
    in_coroutine(drain_all_in_coroutine, NULL);
}

static void draining_all_in_a_coroutine_aborts(void **state)
{
    (void)state;
#ifndef UNDER_TSAN
    assert_dies(drain_all_in_a_coroutine);
#else
    (void)drain_all_in_a_coroutine;
#endif
}

/* ---- under load ---- */

#define SUBMITTERS 4

static atomic_bool stop;
static atomic_int completed;

static void load_done(void *opaque, int ret)
{
    atomic_int *left = opaque;

    assert_int_equal(ret, 0);
    atomic_fetch_add(&completed, 1);
    atomic_fetch_sub(left, 1);
}

static void *submit_load(void *opaque)
{
    uint8_t mem[4][512], one[512];
    struct iovec parts[4];
    QEMUIOVector vecs[4];
    BlockBackend *blk = opaque;
    atomic_int left = 0;

    memset(mem, 1, sizeof(mem));
    for (int i = 0; i < 4; i++) {
        parts[i] = (struct iovec){ mem[i], 512 };
        qemu_iovec_init_external(&vecs[i], &parts[i], 1);
    }
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 4; i++) {
            atomic_fetch_add(&left, 1);
            blk_aio_pwritev(blk, i * 512, &vecs[i], 0, load_done, &left);
        }
        blk_pread(blk, CLUSTER, one, 512);
        while (atomic_load(&left) > 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void run_load(BlockBackend *blk, void (*step)(BlockBackend *blk, int i), int steps)
{
    pthread_t threads[SUBMITTERS];
    LoopThread loop;

    atomic_store(&stop, false);
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    for (int i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, submit_load, blk), 0);
    }
    for (int i = 0; i < steps; i++) {
        int before = atomic_load(&completed);

        step(blk, i);
        while (atomic_load(&completed) < before + 4) {
            sched_yield();
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(threads[i], NULL);
    }
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
}

/* In a drained section nothing reaches the driver and nothing completes. */
static void drained_section(BlockBackend *blk, int i)
{
    int before;
    size_t logged;

    (void)i;
    blk_drained_begin(blk);
    bdrv_drained_begin(blk_bs(blk));
    before = atomic_load(&completed);
    pthread_mutex_lock(&events.lock);
    events.len = 0;
    pthread_mutex_unlock(&events.lock);
    for (int round = 0; round < 50; round++) {
        sched_yield();
    }
    bdrv_flush(bdrv_file(blk_bs(blk)));
    assert_int_equal(atomic_load(&completed), before);
    pthread_mutex_lock(&events.lock);
    logged = events.len;
    pthread_mutex_unlock(&events.lock);
    assert_int_equal(logged, strlen("top flush\n"));
    bdrv_drained_end(blk_bs(blk));
    blk_drained_end(blk);
}

static void drained_sections_are_quiet_under_load(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    blk = open_image("top", RW);
    run_load(blk, drained_section, 40);
    blk_unref(blk);
}

/* Each thread waits for all of its own before it submits more: a drain comes to an end. */
static void some_drain(BlockBackend *blk, int i)
{
    if (i % 3 == 0) {
        blk_drain(blk);
    } else if (i % 3 == 1) {
        in_coroutine(drain_in_coroutine, blk);
    } else {
        blk_io_plug(blk);
        blk_drained_begin(blk);
        blk_drained_end(blk);
        blk_io_unplug(blk);
    }
}

static void drains_end_under_load(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", 4 * CLUSTER, NULL);
    blk = open_image("top", RW);
    run_load(blk, some_drain, 60);
    blk_unref(blk);
}

/* Threads plug and unplug while others wait for what is plugged. */
static void *plug_and_read(void *opaque)
{
    BlockBackend *blk = opaque;
    uint8_t mem[512];

    for (int i = 0; i < 300; i++) {
        blk_io_plug(blk);
        assert_int_equal(blk_pread(blk, 0, mem, 512), 512);
        if (i % 16 == 0) {
            blk_drain(blk);
        }
        blk_io_unplug(blk);
    }
    return NULL;
}

static void plugging_from_many_threads(void **state)
{
    BlockBackend *blk = open_batch();
    pthread_t threads[SUBMITTERS];

    (void)state;
    for (int i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, plug_and_read, blk), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        while (pthread_tryjoin_np(threads[i], NULL) != 0) {
            aio_poll(qemu_get_aio_context(), false);
        }
    }
    assert_int_equal(batch.depth, 0);
    assert_int_equal(batch.submitted, SUBMITTERS * 300);
    blk_unref(blk);
}

#define BATCH_TEST(fn) cmocka_unit_test_setup(fn, batch_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(plugging_holds_back_until_the_outermost_unplug),
        BATCH_TEST(a_full_queue_is_submitted),
        BATCH_TEST(drains_submit_what_is_plugged),
        BATCH_TEST(plugging_begun_in_a_drained_section_waits_for_its_end),
        BATCH_TEST(synchronous_requests_complete_while_plugged),
        BATCH_TEST(the_count_goes_over_to_a_new_root),
        BATCH_TEST(the_topmost_driver_that_batches_is_told),
        BATCH_TEST(unplugging_too_often_aborts),
        BATCH_TEST(from_a_coroutine),
        BATCH_TEST(from_a_callback),
        BATCH_TEST(from_another_thread),
        BATCH_TEST(early_errors_are_waited_for),
        BATCH_TEST(callbacks_may_submit_more),
        BATCH_TEST(draining_all_in_a_coroutine_aborts),
        BATCH_TEST(drained_sections_are_quiet_under_load),
        BATCH_TEST(drains_end_under_load),
        BATCH_TEST(plugging_from_many_threads),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
