/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F45 and §3.12: many writes at once, neighbours merged into one. */
#include "testfmt.h"

#define SECTORS (IMAGE_MAX / 512)
#define REQS_MAX 16

static BlockBackend *blk;
static BlockRequest reqs[REQS_MAX];
static QEMUIOVector vectors[REQS_MAX];
static struct iovec iovs[REQS_MAX][2];
static uint8_t data[REQS_MAX][64 * 512];

/* Which callbacks ran, in order, and with what. */
static struct {
    int n;
    int who[REQS_MAX];
    int ret[REQS_MAX];
} done;

static int limit_transfer, limit_iov;

static void limit(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    (void)bs;
    (void)errp;
    limits->max_transfer = limit_transfer;
    limits->max_iov = limit_iov;
}

static int setup(void **state)
{
    images_reset(state);
    limit_transfer = limit_iov = 0;
    memset(&done, 0, sizeof(done));
    memset(reqs, 0, sizeof(reqs));
    testfmt_driver.bdrv_refresh_limits = limit;
    image_make("top", IMAGE_MAX, NULL);
    blk = open_image("top", RW);
    events_clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    blk_unref(blk);
    return 0;
}

static void note_done(void *opaque, int ret)
{
    done.who[done.n] = (int)(intptr_t)opaque;
    done.ret[done.n++] = ret;
}

/* Request i writes byte i + 1. */
static void request(int i, int64_t sector, int nb_sectors)
{
    memset(data[i], i + 1, sizeof(data[i]));
    iovs[i][0] = (struct iovec){ data[i], (size_t)nb_sectors * 512 };
    qemu_iovec_init_external(&vectors[i], iovs[i], 1);
    reqs[i] = (BlockRequest){ .sector = sector, .nb_sectors = nb_sectors, .qiov = &vectors[i],
                              .cb = note_done, .opaque = (void *)(intptr_t)i };
}

static int submit(int n)
{
    int ret = blk_aio_multiwrite(blk, reqs, n);

    assert_int_equal(done.n, 0);        /* never before it has returned */
    while (ret == 0 && done.n < n) {
        aio_poll(qemu_get_aio_context(), true);
    }
    return ret;
}

static void assert_done(int n, int ret)
{
    assert_int_equal(done.n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(done.who[i], i);       /* in the array's original order */
        assert_int_equal(done.ret[i], ret);
    }
}

static void assert_sectors(int64_t sector, int nb_sectors, int byte)
{
    assert_read(blk, sector * 512, nb_sectors * 512, byte);
}

static uint64_t merged(void)
{
    return blk_get_stats(blk)->merged[BLOCK_ACCT_WRITE];
}

static void none_is_fine(void **state)
{
    BlockBackend *empty = blk_new(NULL);

    (void)state;
    assert_int_equal(submit(0), 0);
    assert_int_equal(blk_aio_multiwrite(empty, NULL, 0), 0);
    blk_unref(empty);
}

static void neighbours_become_one(void **state)
{
    (void)state;
    request(0, 20, 4);
    request(1, 8, 8);
    request(2, 16, 4);
    assert_int_equal(submit(3), 0);
    assert_done(3, 0);
    assert_events("top write 4096 8192\n");
    assert_int_equal(merged(), 2);
    assert_sectors(20, 4, 1);
    assert_sectors(8, 8, 2);
    assert_sectors(16, 4, 3);
}

static void gaps_are_not_bridged(void **state)
{
    (void)state;
    request(0, 0, 1);
    request(1, 2, 1);
    assert_int_equal(submit(2), 0);
    assert_done(2, 0);
    assert_int_equal(events_of("top write"), 2);
    assert_int_equal(merged(), 0);
    assert_sectors(1, 1, 0);
}

static void the_later_start_wins(void **state)
{
    (void)state;
    request(0, 4, 8);       /* 4..11 */
    request(1, 0, 6);       /* 0..5 */
    request(2, 10, 4);      /* 10..13 */
    assert_int_equal(submit(3), 0);
    assert_done(3, 0);
    assert_events("top write 0 7168\n");
    assert_sectors(0, 4, 2);
    assert_sectors(4, 6, 1);
    assert_sectors(10, 4, 3);
    assert_int_equal(merged(), 2);
}

static void the_tail_of_the_earlier_is_kept(void **state)
{
    (void)state;
    request(0, 0, 10);
    request(1, 2, 2);
    request(2, 6, 1);
    request(3, 9, 3);
    assert_int_equal(submit(4), 0);
    assert_done(4, 0);
    assert_events("top write 0 6144\n");
    assert_sectors(0, 2, 1);
    assert_sectors(2, 2, 2);
    assert_sectors(4, 2, 1);
    assert_sectors(6, 1, 3);
    assert_sectors(7, 2, 1);
    assert_sectors(9, 3, 4);
}

static void only_equal_flags_merge(void **state)
{
    (void)state;
    request(0, 0, 1);
    request(1, 1, 1);
    request(2, 2, 1);
    reqs[1].flags = BDRV_REQ_FUA;
    assert_int_equal(submit(3), 0);
    assert_done(3, 0);
    assert_int_equal(events_of("top write"), 3);
    assert_int_equal(events_of("top flush"), 1);
    assert_int_equal(merged(), 0);
}

static void vectors_stay_within_the_limit(void **state)
{
    (void)state;
    blk_unref(blk);
    limit_iov = 5;
    blk = open_image("top", RW);
    assert_int_equal(blk_get_max_iov(blk), 5);
    for (int i = 0; i < 6; i++) {
        request(i, i, 1);
    }
    events_clear();
    assert_int_equal(submit(6), 0);
    assert_done(6, 0);
    /* Elements + 1 must not pass 5: four in the first, two in the second. */
    assert_events("top write 0 2048\ntop write 2048 1024\n");
    assert_int_equal(merged(), 4);
}

static void size_stays_within_the_limit(void **state)
{
    (void)state;
    blk_unref(blk);
    limit_transfer = 8 * 512;
    blk = open_image("top", RW);
    assert_int_equal(blk_get_max_transfer_length(blk), 8);
    request(0, 0, 4);
    request(1, 4, 4);
    request(2, 8, 1);
    events_clear();
    assert_int_equal(submit(3), 0);
    assert_done(3, 0);
    assert_int_equal(merged(), 1);
    assert_int_equal(events_of("top write 0 4096"), 1);
    assert_int_equal(events_of("top write 4096 512"), 1);
}

static void the_first_error_is_everybodys(void **state)
{
    TestImage *top = image_find("top");

    (void)state;
    top->fail_write_at = 2;
    request(0, 0, 1);
    request(1, 16, 1);       /* cluster 2 */
    request(2, 100, 1);
    assert_int_equal(submit(3), 0);
    assert_done(3, -EIO);
    assert_sectors(0, 1, 1);
    assert_sectors(100, 1, 3);
}

static void assert_refused(int n, int error)
{
    for (int i = 0; i < n; i++) {
        reqs[i].error = 77;
    }
    assert_int_equal(submit(n), error);
    blk_drain(blk);
    assert_int_equal(done.n, 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(reqs[i].error, error);
    }
    assert_int_equal(events_of("top write"), 0);
}

static void a_bad_range_refuses_all(void **state)
{
    (void)state;
    request(0, 0, 1);
    request(1, SECTORS, 1);
    assert_refused(2, -EIO);
    request(1, -1, 1);
    assert_refused(2, -EIO);
    request(1, 0, 1);
    reqs[1].nb_sectors = -1;
    assert_refused(2, -EIO);
    assert_int_equal(merged(), 0);
}

static void no_medium_refuses_all(void **state)
{
    BlockBackend *disk = blk;

    (void)state;
    request(0, 0, 1);
    request(1, 1, 1);
    blk = blk_new(NULL);
    assert_refused(2, -ENOMEDIUM);
    blk_unref(blk);
    blk = disk;
}

static void read_only_comes_through_the_callbacks(void **state)
{
    (void)state;
    blk_unref(blk);
    blk = open_image("top", BDRV_O_CACHE_WB);
    request(0, 0, 1);
    request(1, 8, 1);
    reqs[0].error = reqs[1].error = 0;
    assert_int_equal(submit(2), 0);
    assert_done(2, -EPERM);
    assert_int_equal(reqs[0].error, 0);
    assert_int_equal(reqs[1].error, 0);
}

static void the_array_is_free_after_the_call(void **state)
{
    (void)state;
    request(0, 0, 1);
    request(1, 1, 1);
    assert_int_equal(blk_aio_multiwrite(blk, reqs, 2), 0);
    memset(reqs, 0xff, sizeof(reqs));
    blk_drain(blk);
    assert_done(2, 0);
    assert_sectors(0, 1, 1);
    assert_sectors(1, 1, 2);
}

static void every_request_stays_in_the_array(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        request(i, (5 - i) * 3, i % 2 ? 3 : 1);
    }
    assert_int_equal(submit(6), 0);
    for (int i = 0; i < 6; i++) {
        seen |= 1u << (intptr_t)reqs[i].opaque;
    }
    assert_int_equal(seen, 0x3f);
}

static void write_through_flushes_each_write(void **state)
{
    (void)state;
    blk_set_enable_write_cache(blk, false);
    request(0, 0, 1);
    request(1, 1, 1);
    request(2, 8, 1);
    assert_int_equal(submit(3), 0);
    assert_int_equal(events_of("top write"), 2);
    assert_int_equal(events_of("top flush"), 2);
}

static void a_wrong_vector_aborts(void)
{
    reqs[0].nb_sectors = 2;
    blk_aio_multiwrite(blk, reqs, 1);
}

static void vector_and_sectors_must_agree(void **state)
{
    (void)state;
    request(0, 0, 1);
#ifndef UNDER_TSAN
    assert_dies(a_wrong_vector_aborts);
#else
    (void)a_wrong_vector_aborts;
#endif
}

/* Against a model: any mix of neighbours, gaps and overlaps of different starts. */
static void random_requests_write_what_they_should(void **state)
{
    static uint8_t model[256 * 512], back[256 * 512];

    (void)state;
    srand(7);
    for (int round = 0; round < 200; round++) {
        int n = 1 + rand() % 12, start[12];

        for (int i = 0; i < n; i++) {
            int taken;

            do {
                start[i] = rand() % 100;
                taken = 0;
                for (int j = 0; j < i; j++) {
                    taken |= start[j] == start[i];
                }
            } while (taken);
            request(i, start[i], 1 + rand() % 6);
        }
        /* In order of their starts, so that the later one wins. */
        for (int at = 0; at < 100; at++) {
            for (int i = 0; i < n; i++) {
                if (start[i] == at) {
                    memset(model + at * 512, i + 1, (size_t)reqs[i].nb_sectors * 512);
                }
            }
        }
        done.n = 0;
        assert_int_equal(submit(n), 0);
        assert_done(n, 0);
        assert_int_equal(blk_pread(blk, 0, back, sizeof(back)), sizeof(back));
        assert_memory_equal(back, model, sizeof(back));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_is_fine),
        TEST(neighbours_become_one),
        TEST(gaps_are_not_bridged),
        TEST(the_later_start_wins),
        TEST(the_tail_of_the_earlier_is_kept),
        TEST(only_equal_flags_merge),
        TEST(vectors_stay_within_the_limit),
        TEST(size_stays_within_the_limit),
        TEST(the_first_error_is_everybodys),
        TEST(a_bad_range_refuses_all),
        TEST(no_medium_refuses_all),
        TEST(read_only_comes_through_the_callbacks),
        TEST(the_array_is_free_after_the_call),
        TEST(every_request_stays_in_the_array),
        TEST(write_through_flushes_each_write),
        TEST(vector_and_sectors_must_agree),
        TEST(random_requests_write_what_they_should),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
