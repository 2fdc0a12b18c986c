/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copy-on-read (§3.14): what a read fetches from the backing file stays in the node. */
#include "testfmt.h"

static TestImage *base, *top;

/* Clusters 0..7 of base hold 1..8, except 3, which is zero; top has nothing. */
static BlockBackend *open_pair(int flags)
{
    base = image_make("base", 8 * CLUSTER, NULL);
    top = image_make("top", 8 * CLUSTER, "base");
    for (int i = 0; i < 8; i++) {
        image_fill(base, i, 1, i == 3 ? 0 : i + 1);
    }
    return open_image("top", flags);
}

static BlockBackend *open_filling(void)
{
    BlockBackend *blk = open_pair(RW | BDRV_O_COPY_ON_READ);

    events_clear();
    return blk;
}

static void it_needs_a_writable_image(void **state)
{
    Error *err = NULL;

    (void)state;
    image_make("top", CLUSTER, NULL);
    assert_null(blk_new_open("testfile:top", NULL, options_of("'driver':'testfmt'"),
                             BDRV_O_COPY_ON_READ, &err));
    assert_error(err, "Can't use copy-on-read on read-only device");
}

static void a_read_fills_whole_clusters(void **state)
{
    BlockBackend *blk = open_filling();

    (void)state;
    assert_read(blk, CLUSTER + 512, 512, 2);
    assert_map(top, "-D------");
    assert_int_equal(top->data[CLUSTER], 2);
    assert_int_equal(top->data[2 * CLUSTER - 1], 2);
    assert_events("top read 4096 4096\nbase read 4096 4096\ntop write 4096 4096\n");

    /* The second time it is there. */
    events_clear();
    assert_read(blk, CLUSTER, CLUSTER, 2);
    assert_events("top read 4096 4096\n");
    blk_unref(blk);
}

static void ranges_that_are_there_are_not_written(void **state)
{
    BlockBackend *blk = open_filling();

    (void)state;
    image_fill(top, 1, 1, 9);
    top->map[4] = ZERO;
    assert_read(blk, CLUSTER, CLUSTER, 9);
    assert_int_equal(events_of("top write"), 0);
    assert_read(blk, 4 * CLUSTER, CLUSTER, 0);
    assert_map(top, "-D--0---");
    blk_unref(blk);
}

static void a_long_read_comes_in_pieces(void **state)
{
    static uint8_t buf[8 * CLUSTER];
    BlockBackend *blk = open_filling();

    (void)state;
    image_fill(top, 1, 1, 9);
    top->map[4] = ZERO;
    assert_int_equal(blk_pread(blk, 100, buf, 8 * CLUSTER - 200), 8 * CLUSTER - 200);
    for (int i = 0; i < 8 * CLUSTER - 200; i++) {
        static const uint8_t expected[] = { 1, 9, 3, 0, 0, 6, 7, 8 };

        assert_int_equal(buf[i], expected[(i + 100) / CLUSTER]);
    }
    assert_map(top, "DDDD0DDD");
    blk_unref(blk);
}

static void zeroes_are_stored_as_zeroes(void **state)
{
    BlockBackend *blk = open_filling();

    (void)state;
    assert_read(blk, 3 * CLUSTER, 512, 0);
    assert_map(top, "---0----");
    assert_int_equal(events_of("top zero 12288 4096"), 1);
    blk_unref(blk);

    images_reset(NULL);
    blk = open_filling();
    top->no_zeroes = true;
    assert_read(blk, 3 * CLUSTER, 512, 0);
    assert_map(top, "---D----");
    blk_unref(blk);
}

static void the_last_cluster_may_be_partial(void **state)
{
    BlockBackend *blk;

    (void)state;
    base = image_make("base", 2 * CLUSTER, NULL);
    top = image_make("top", CLUSTER + 1024, "base");
    image_fill(base, 0, 2, 4);
    blk = open_image("top", RW | BDRV_O_COPY_ON_READ);
    events_clear();
    assert_read(blk, CLUSTER + 512, 512, 4);
    assert_int_equal(events_of("top write 4096 1024"), 1);
    assert_int_equal(top->length, CLUSTER + 1024);
    blk_unref(blk);
}

static void a_failing_fill_fails_the_read(void **state)
{
    BlockBackend *blk = open_filling();
    uint8_t buf[512];

    (void)state;
    top->write_error = -ENOSPC;
    assert_int_equal(blk_pread(blk, 0, buf, 512), -ENOSPC);
    top->write_error = 0;
    base->read_error = -EIO;
    assert_int_equal(blk_pread(blk, 0, buf, 512), -EIO);
    base->read_error = 0;
    top->status_error = -EBADMSG;
    assert_int_equal(blk_pread(blk, 0, buf, 512), -EBADMSG);
    top->status_error = 0;
    assert_read(blk, 0, 512, 1);
    blk_unref(blk);
}

static void nothing_is_flushed_or_counted(void **state)
{
    BlockBackend *blk = open_pair(BDRV_O_RDWR | BDRV_O_COPY_ON_READ);

    (void)state;
    events_clear();
    assert_read(blk, 0, CLUSTER, 1);
    assert_map(top, "D");
    assert_int_equal(events_of("top flush"), 0);
    assert_int_equal(blk_get_stats(blk)->nr_ops[BLOCK_ACCT_WRITE], 0);
    blk_unref(blk);
}

static void the_switch_is_counted(void **state)
{
    BlockBackend *blk = open_pair(RW);

    (void)state;
    assert_read(blk, 0, CLUSTER, 1);
    assert_map(top, "-");
    bdrv_enable_copy_on_read(blk_bs(blk));
    bdrv_enable_copy_on_read(blk_bs(blk));
    bdrv_disable_copy_on_read(blk_bs(blk));
    assert_read(blk, 0, CLUSTER, 1);
    assert_map(top, "D-");
    bdrv_disable_copy_on_read(blk_bs(blk));
    assert_read(blk, CLUSTER, CLUSTER, 2);
    assert_map(top, "D-");
    blk_unref(blk);
}

static void one_read_may_ask_for_it_or_decline(void **state)
{
    BlockBackend *blk = open_pair(RW);
    uint8_t buf[512];
    struct iovec iov = { buf, 512 };
    AioResult result = { 0 };
    QEMUIOVector qiov;

    (void)state;
    qemu_iovec_init_external(&qiov, &iov, 1);
    blk_aio_preadv(blk, 0, &qiov, BDRV_REQ_COPY_ON_READ, aio_result_cb, &result);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_map(top, "D-");
    bdrv_enable_copy_on_read(blk_bs(blk));
    result.calls = 0;
    blk_aio_preadv(blk, CLUSTER, &qiov, BDRV_REQ_NO_SERIALISING, aio_result_cb, &result);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_int_equal(buf[0], 2);
    assert_map(top, "D-");
    blk_unref(blk);
}

static void who_may_not_write_does_not_fill(void **state)
{
    BlockBackend *blk = open_pair(BDRV_O_CACHE_WB);

    (void)state;
    bdrv_enable_copy_on_read(blk_bs(blk));
    assert_read(blk, 0, CLUSTER, 1);
    assert_map(top, "-");
    blk_unref(blk);
    images_reset(NULL);
    blk = open_pair(RW | BDRV_O_COPY_ON_READ | BDRV_O_INACTIVE);
    assert_read(blk, 0, CLUSTER, 1);
    assert_map(top, "-");
    blk_unref(blk);
}

/* ---- serialising ---- */

static uint8_t read_buf[512], write_buf[512];

static void resume(void *opaque)
{
    aio_co_wake(opaque);
}

/* The fill has read the old data; a write to the same cluster must not get in between. */
static void a_write_waits_for_the_fill(void **state)
{
    BlockBackend *blk = open_filling();
    struct iovec in = { read_buf, 512 }, out = { write_buf, 512 };
    AioResult read = { 0 }, write = { 0 }, other = { 0 };
    QEMUIOVector read_qiov, write_qiov;

    (void)state;
    memset(write_buf, 0xee, 512);
    qemu_iovec_init_external(&read_qiov, &in, 1);
    qemu_iovec_init_external(&write_qiov, &out, 1);
    top->hold = true;
    blk_aio_preadv(blk, 0, &read_qiov, 0, aio_result_cb, &read);
    assert_non_null(top->held);
    memset(read_buf, 0xdd, 512);        /* the caller scribbles: ours is another buffer */
    blk_aio_pwritev(blk, CLUSTER - 512, &write_qiov, 0, aio_result_cb, &write);
    blk_aio_pwritev(blk, CLUSTER, &write_qiov, 0, aio_result_cb, &other);
    assert_int_equal(aio_result_wait(&other), 0);      /* another cluster is free */
    assert_int_equal(write.calls, 0);
    assert_int_equal(read.calls, 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
    assert_int_equal(aio_result_wait(&write), 0);
    assert_int_equal(aio_result_wait(&read), 0);
    assert_read(blk, 0, CLUSTER - 512, 1);
    assert_read(blk, CLUSTER - 512, 512, 0xee);
    assert_int_equal(read_buf[0], 1);
    blk_unref(blk);
}

/* ---- many threads ---- */

#define THREADS 4

static void *reader(void *opaque)
{
    BlockBackend *blk = opaque;
    uint8_t buf[1024];

    for (int i = 0; i < 200; i++) {
        int cluster = i * 7 % 8;

        assert_int_equal(blk_pread(blk, cluster * CLUSTER + i % 3 * 512, buf, 1024), 1024);
        assert_int_equal(buf[0], cluster == 3 ? 0 : cluster + 1);
        assert_int_equal(buf[1023], buf[0]);
    }
    return NULL;
}

static void threads_fill_each_cluster_once(void **state)
{
    BlockBackend *blk = open_filling();
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader, blk), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_map(top, "DDD0DDDD");
    assert_int_equal(events_of("top write"), 7);
    assert_int_equal(events_of("top zero"), 1);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(it_needs_a_writable_image),
        IMAGE_TEST(a_read_fills_whole_clusters),
        IMAGE_TEST(ranges_that_are_there_are_not_written),
        IMAGE_TEST(a_long_read_comes_in_pieces),
        IMAGE_TEST(zeroes_are_stored_as_zeroes),
        IMAGE_TEST(the_last_cluster_may_be_partial),
        IMAGE_TEST(a_failing_fill_fails_the_read),
        IMAGE_TEST(nothing_is_flushed_or_counted),
        IMAGE_TEST(the_switch_is_counted),
        IMAGE_TEST(one_read_may_ask_for_it_or_decline),
        IMAGE_TEST(who_may_not_write_does_not_fill),
        IMAGE_TEST(a_write_waits_for_the_fill),
        IMAGE_TEST(threads_fill_each_cluster_once),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
