/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits on backends: who waits, who goes next, and who pays.  The tests own the clock. */
#include "blk-test.h"
#include "stepped-clock.h"

#define KIB 1024
#define MIB (1024 * 1024)
static int setup(void **state)
{
    medium_reset(state);
    stepped_clock_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stepped_clock_stop();
    return 0;
}

/* ---- limits ---- */

static ThrottleConfig limit(BucketType type, double avg)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.buckets[type].avg = avg;
    return cfg;
}

static ThrottleConfig burst(BucketType type, double avg, double max, unsigned length)
{
    ThrottleConfig cfg = limit(type, avg);

    cfg.buckets[type].max = max;
    cfg.buckets[type].burst_length = length;
    return cfg;
}

static void set_limits(BlockBackend *blk, ThrottleConfig cfg)
{
    blk_set_io_limits(blk, &cfg);
}

static BlockBackend *open_limited(const char *group, ThrottleConfig cfg)
{
    BlockBackend *blk = open_disk();

    blk_io_limits_enable(blk, group);
    set_limits(blk, cfg);
    return blk;
}

static BlockBackend *open_member(const char *group)
{
    BlockBackend *blk = open_disk();

    blk_io_limits_enable(blk, group);
    return blk;
}

static BlockBackend *open_null(ThrottleConfig cfg)
{
    BlockBackend *blk = blk_new_open(NULL, NULL, driver_options("null-co", NULL),
                                     BDRV_O_RDWR | BDRV_O_CACHE_WB, &error_abort);

    blk_io_limits_enable(blk, NULL);
    set_limits(blk, cfg);
    return blk;
}

/* ---- who makes requests, one after the other ---- */

#define MAX_LOG 4096

/* Every admission of every client, in order. */
static struct {
    char who;
    int64_t at;
} admissions[MAX_LOG];
static int n_admissions;

typedef struct Client {
    char name;
    BlockBackend *blk;
    bool is_write;
    int64_t bytes;
    int left;           /* requests to make; 1: the one that waits is the last */
    int done;
    int64_t at[MAX_LOG];
} Client;

static void coroutine_fn client_run(void *opaque)
{
    static uint8_t buf[8 * MIB];
    Client *c = opaque;
    struct iovec iov = { .iov_base = buf, .iov_len = (size_t)c->bytes };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    while (c->left > 0) {
        int ret = c->is_write ? blk_co_pwritev(c->blk, 0, c->bytes, &qiov, 0)
                              : blk_co_preadv(c->blk, 0, c->bytes, &qiov, 0);

        assert_int_equal(ret, 0);
        c->left--;
        c->at[c->done++ % MAX_LOG] = clock_ns;
        admissions[n_admissions % MAX_LOG].who = c->name;
        admissions[n_admissions++ % MAX_LOG].at = clock_ns;
    }
}

static void client_start(Client *c)
{
    qemu_coroutine_enter(qemu_coroutine_create(client_run), c);
}

/* Takes what may go at once, so that the next request has to wait. */
static void use_up(BlockBackend *blk, bool is_write, int requests)
{
    Client c = { .blk = blk, .is_write = is_write, .bytes = 512, .left = requests };

    client_start(&c);
    assert_int_equal(c.done, requests);
}

static void assert_at(const Client *c, int first, int count, double ms)
{
    for (int i = first; i < first + count; i++) {
        assert_true(i < c->done);
        if (c->at[i] != (int64_t)(ms * MS)) {
            fail_msg("request %d went at %.3f ms, not at %.3f", i, (double)c->at[i] / MS, ms);
        }
    }
}

/* How many of the admissions from `first` on were whose. */
static int count_admissions(int first, char who)
{
    int n = 0;

    for (int i = first; i < n_admissions; i++) {
        n += admissions[i].who == who;
    }
    return n;
}

static void assert_order(int first, const char *names)
{
    assert_true(first + (int)strlen(names) <= n_admissions);
    for (int i = 0; names[i]; i++) {
        if (admissions[first + i].who != names[i]) {
            fail_msg("admission %d was %c's, not %c's", i, admissions[first + i].who, names[i]);
        }
    }
}

/* ---- one backend: the contract's vectors ---- */

static void run_vector(Client *c, ThrottleConfig cfg, int64_t until_ms)
{
    c->blk = open_null(cfg);
    c->left = MAX_LOG;
    client_start(c);
    run_until(until_ms * MS);
    c->left = 1;
    blk_drain(c->blk);
    blk_unref(c->blk);
}

static void iops_go_evenly(void **state)
{
    Client c = { .is_write = true, .bytes = 64 * KIB };

    (void)state;
    run_vector(&c, limit(THROTTLE_OPS_TOTAL, 100), 1000);
    assert_at(&c, 0, 11, 0);
    for (int i = 1; i <= 100; i++) {
        assert_at(&c, 10 + i, 1, 10.0 * i);
    }
    assert_int_equal(c.done, 11 + 100 + 1);     /* and the one that the drain let go */
}

static void bytes_go_evenly(void **state)
{
    Client c = { .is_write = false, .bytes = 64 * KIB };

    (void)state;
    run_vector(&c, limit(THROTTLE_BPS_TOTAL, MIB), 1000);
    assert_at(&c, 0, 2, 0);
    for (int i = 0; i < 15; i++) {
        assert_at(&c, 2 + i, 1, 25 + 62.5 * i);
    }
}

static void large_requests_leave_debts(void **state)
{
    Client c = { .is_write = true, .bytes = 8 * MIB };

    (void)state;
    run_vector(&c, limit(THROTTLE_BPS_TOTAL, MIB), 24000);
    assert_at(&c, 0, 1, 0);
    assert_at(&c, 1, 1, 7900);
    assert_at(&c, 2, 1, 15900);
    assert_at(&c, 3, 1, 23900);
}

static void a_burst_goes_at_once(void **state)
{
    Client c = { .is_write = true, .bytes = 512 };

    (void)state;
    run_vector(&c, burst(THROTTLE_OPS_TOTAL, 100, 2000, 1), 500);
    assert_at(&c, 0, 2001, 0);
    for (int i = 1; i <= 50; i++) {
        assert_at(&c, 2000 + i, 1, 10.0 * i);
    }
}

static void a_long_burst_has_a_speed(void **state)
{
    Client c = { .is_write = false, .bytes = 512 };

    (void)state;
    run_vector(&c, burst(THROTTLE_OPS_TOTAL, 10, 200, 2), 3000);
    assert_at(&c, 0, 21, 0);
    for (int i = 1; i <= 400; i++) {
        assert_at(&c, 20 + i, 1, 5.0 * i);
    }
    for (int i = 1; i <= 10; i++) {
        assert_at(&c, 420 + i, 1, 2000 + 100.0 * i);
    }
}

static void large_requests_count_more_operations(void **state)
{
    Client c = { .is_write = false, .bytes = 6 * KIB };
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, 10);

    (void)state;
    cfg.op_size = 4096;
    run_vector(&c, cfg, 1000);
    assert_at(&c, 0, 1, 0);
    assert_at(&c, 1, 1, 50);
    assert_at(&c, 2, 1, 200);
    assert_at(&c, 3, 1, 350);
    assert_at(&c, 4, 1, 500);
}

/* ---- what counts, and what does not ---- */

static void reads_writes_and_zero_writes_count_as_requested(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_BPS_TOTAL, 10000));
    uint8_t buf[KIB];
    Client c = { .blk = blk, .bytes = 512, .left = 1 };

    (void)state;
    /* 1000 bytes may go at once; misaligned ones are not rounded up */
    assert_int_equal(blk_pread(blk, 1, buf, 1), 1);
    assert_int_equal(blk_pwrite(blk, 513, buf, 99), 99);
    assert_int_equal(blk_write_zeroes(blk, 0, 1, 0), 0);
    assert_int_equal(blk_pwrite_zeroes(blk, 0, 388, 0), 0);
    assert_int_equal(blk_pwrite_zeroes(blk, 0, 10000, 0), 0);
    client_start(&c);
    run_until(999 * MS);
    assert_int_equal(c.done, 0);
    run_until(1000 * MS);
    assert_int_equal(c.done, 1);
    blk_unref(blk);
}

static int coroutine_fn write_compressed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         QEMUIOVector *qiov)
{
    return test_co_pwritev(bs, offset, bytes, qiov, 0);
}

static void compressed_writes_count_too(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_WRITE, 100));
    Client c = { .blk = blk, .is_write = true, .bytes = 512, .left = 1 };
    uint8_t buf[512] = { 0 };

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_write_compressed(blk, 0, buf, 1), -ENOTSUP);
    }
    test_driver.bdrv_co_pwritev_compressed = write_compressed;
    for (int i = 0; i < 11; i++) {
        assert_int_equal(blk_write_compressed(blk, 0, buf, 1), 0);
    }
    test_driver.bdrv_co_pwritev_compressed = NULL;
    client_start(&c);
    assert_int_equal(c.done, 0);
    run_until(10 * MS);
    assert_int_equal(c.done, 1);
    blk_unref(blk);
}

static void an_empty_request_is_one_operation(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    Client c = { .blk = blk, .bytes = 0, .left = 12 };

    (void)state;
    client_start(&c);
    assert_int_equal(c.done, 11);
    run_until(10 * MS);
    assert_int_equal(c.done, 12);
    assert_int_equal(medium.reads, 0);
    blk_unref(blk);
}

static void a_rejected_request_uses_nothing_up(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_CACHE_WB);
    uint8_t buf[512] = { 0 };
    Client c = { .blk = blk, .bytes = 512, .left = 12 };

    (void)state;
    blk_io_limits_enable(blk, NULL);
    set_limits(blk, limit(THROTTLE_OPS_TOTAL, 100));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_write(blk, 0, buf, 1), -EPERM);
        assert_int_equal(blk_write_zeroes(blk, 0, 1, 0), -EPERM);
        assert_int_equal(blk_read(blk, MEDIUM_SIZE / 512, buf, 1), -EIO);
        assert_int_equal(blk_pread(blk, -1, buf, 1), -EIO);
        medium.not_inserted = true;
        assert_int_equal(blk_read(blk, 0, buf, 1), -ENOMEDIUM);
        medium.not_inserted = false;
    }
    client_start(&c);
    assert_int_equal(c.done, 11);
    run_until(10 * MS);
    assert_int_equal(c.done, 12);
    blk_unref(blk);
}

static void a_write_to_an_inactive_node_uses_nothing_up(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_INACTIVE);
    uint8_t buf[512] = { 0 };

    (void)state;
    blk_io_limits_enable(blk, NULL);
    set_limits(blk, limit(THROTTLE_OPS_TOTAL, 100));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_write(blk, 0, buf, 1), -EPERM);
    }
    use_up(blk, false, 11);
    blk_unref(blk);
}

/* The clock stands still: whoever waited here would wait for ever. */
static void discards_and_flushes_are_never_throttled(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    int64_t pnum;

    (void)state;
    use_up(blk, true, 11);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_discard(blk, 0, 8), 0);
        assert_int_equal(blk_flush(blk), 0);
        assert_int_equal(blk_ioctl(blk, 1, NULL), -ENOTSUP);
        assert_int_equal(blk_truncate(blk, MEDIUM_SIZE), -ENOTSUP);
        assert_int_equal(blk_getlength(blk), MEDIUM_SIZE);
        assert_true(blk_block_status(blk, 0, 512, &pnum) >= 0);
    }
    /* nor did they use anything up */
    atomic_store(&clock_ns, 10 * MS);
    use_up(blk, true, 1);
    blk_unref(blk);
}

static void coroutine_fn map_and_read(void *opaque)
{
    BlockBackend *blk = opaque;
    BlockMapping map;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_co_map_read(blk, 0, 512, &map), -ENOTSUP);
    }
}

/* Who cannot have the memory reads instead, and pays then. */
static void a_mapping_that_is_refused_uses_nothing_up(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));

    (void)state;
    qemu_coroutine_enter(qemu_coroutine_create(map_and_read), blk);
    use_up(blk, false, 11);
    blk_unref(blk);
}

typedef struct MapClient {
    BlockBackend *blk;
    int mapped;
} MapClient;

static void coroutine_fn map_client_run(void *opaque)
{
    MapClient *c = opaque;
    BlockMapping map;

    for (int i = 0; i < 12; i++) {
        assert_int_equal(blk_co_map_read(c->blk, 0, 512, &map), 0);
        c->mapped++;
        blk_unmap(&map);
    }
}

static void a_mapping_is_throttled_like_a_read(void **state)
{
    QDict *options = driver_options("memory", NULL);
    MapClient c = { .mapped = 0 };

    (void)state;
    qdict_put(options, "size", qint_from_int(MIB));
    c.blk = blk_new_open(NULL, NULL, options, BDRV_O_RDWR, &error_abort);
    blk_io_limits_enable(c.blk, NULL);
    set_limits(c.blk, limit(THROTTLE_OPS_READ, 100));
    qemu_coroutine_enter(qemu_coroutine_create(map_client_run), &c);
    assert_int_equal(c.mapped, 11);
    run_until(10 * MS);
    assert_int_equal(c.mapped, 12);
    blk_unref(c.blk);
}

static void unthrottled_reads_neither_wait_nor_count(void **state)
{
    BlockBackend *blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 100));
    Client c = { .blk = blk, .bytes = 512, .left = 1 };
    uint8_t buf[512];

    (void)state;
    use_up(blk, false, 11);
    client_start(&c);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blk_read_unthrottled(blk, 0, buf, 1), 0);
        assert_int_equal(buf[0], 0x5a);
    }
    assert_int_equal(blk_read_unthrottled(blk, -1, buf, 1), -EIO);
    assert_int_equal(c.done, 0);
    assert_string_equal(throttle_group_get_name(blk), "g");
    run_until(10 * MS);
    assert_int_equal(c.done, 1);
    assert_at(&c, 0, 1, 10);
    blk_unref(blk);
}

/* ---- the forms of a request ---- */

static void requests_of_a_backend_keep_their_order(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_WRITE, 100));
    Client clients[26];

    (void)state;
    use_up(blk, true, 11);
    n_admissions = 0;
    for (int i = 0; i < 26; i++) {
        clients[i] = (Client){ .name = (char)('a' + i), .blk = blk, .is_write = true,
                               .bytes = 512 * (i % 5), .left = 1 };
        client_start(&clients[i]);
    }
    run_until(260 * MS);
    assert_order(0, "abcdefghijklmnopqrstuvwxyz");
    blk_unref(blk);
}

/* Late by a second: the hundred that were due go at once, and then it is 10 ms each again. */
static void all_that_are_due_go_with_one_timer(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_BPS_TOTAL, 51200));
    Client c = { .blk = blk, .is_write = true, .bytes = 512, .left = 1000 };

    (void)state;
    client_start(&c);
    assert_int_equal(c.done, 11);
    atomic_store(&clock_ns, 50 * MS);
    run_what_is_due();
    assert_int_equal(c.done, 16);
    run_until(100 * MS);
    assert_int_equal(c.done, 21);
    c.left = 1;
    blk_unref(blk);
}

static void asynchronous_requests_wait_too(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    AioResult results[12] = { { 0 } };
    uint8_t buf[512];
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    QEMUIOVector qiov;

    (void)state;
    qemu_iovec_init_external(&qiov, &iov, 1);
    for (int i = 0; i < 12; i++) {
        blk_aio_readv(blk, 0, &qiov, 1, aio_result_cb, &results[i]);
    }
    run_until(9 * MS);
    assert_int_equal(results[10].calls, 1);
    assert_int_equal(results[11].calls, 0);
    run_until(10 * MS);
    assert_int_equal(results[11].calls, 1);
    assert_int_equal(results[11].ret, 0);
    blk_unref(blk);
}

/* On the real clock: each waits, and the polling inside runs the timer. */
static void synchronous_requests_wait_too(void **state)
{
    BlockBackend *blk = open_disk();
    uint8_t buf[512] = { 0 };
    int64_t start;

    (void)state;
    blkbackend_set_clock(NULL, NULL);
    blk_io_limits_enable(blk, NULL);
    set_limits(blk, limit(THROTTLE_OPS_TOTAL, 200));
    use_up(blk, true, 21);
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(blk_read(blk, 0, buf, 1), 0);
        assert_int_equal(blk_write(blk, 0, buf, 1), 0);
        assert_int_equal(blk_pread(blk, 0, buf, 1), 1);
        assert_int_equal(blk_pwrite(blk, 0, buf, 512), 512);
        assert_int_equal(blk_write_zeroes(blk, 0, 1, 0), 0);
    }
    /* 5 ms each, less what leaked before the start */
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start > 60 * MS);
    assert_string_equal(throttle_group_get_name(blk), "");     /* and it is still a member */
    blk_unref(blk);
}

static void cancelling_waits_for_the_turn(void **state)
{
    BlockBackend *blk = open_disk();
    AioResult result = { 0 };
    uint8_t buf[512];
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    QEMUIOVector qiov;
    int64_t start;

    (void)state;
    blkbackend_set_clock(NULL, NULL);
    qemu_iovec_init_external(&qiov, &iov, 1);
    blk_io_limits_enable(blk, NULL);
    set_limits(blk, limit(THROTTLE_BPS_TOTAL, 51200));
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    assert_int_equal(blk_pwrite_zeroes(blk, 0, 10240, 0), 0);       /* 100 ms above */
    blk_aio_cancel(blk_aio_readv(blk, 0, &qiov, 1, aio_result_cb, &result));
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.ret, 0);
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start >= 100 * MS);
    blk_unref(blk);
}

typedef struct Patient {
    BlockBackend *blk;
    Coroutine *co;
    bool zero;
    int ret;            /* 1: it waits */
} Patient;

static void coroutine_fn patient_run(void *opaque)
{
    static uint8_t buf[512];
    Patient *p = opaque;
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    p->ret = p->zero ? blk_co_pwrite_zeroes(p->blk, 0, 512, 0)
                     : blk_co_pwritev(p->blk, 0, 512, &qiov, 0);
}

static void patient_start(Patient *p, BlockBackend *blk)
{
    p->blk = blk;
    p->ret = 1;
    p->co = qemu_coroutine_create(patient_run);
    qemu_coroutine_enter(p->co, p);
}

/* A hundred a second.  Of three that wait the first, who has the timer, is cancelled, then the
 * last. */
static void a_cancelled_request_fails_and_uses_nothing_up(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_WRITE, 100));
    BlockBackend *other = open_disk();
    Patient p[3] = { [0].zero = true };

    (void)state;
    use_up(blk, true, 11);
    for (int i = 0; i < 3; i++) {
        patient_start(&p[i], blk);
    }
    run_until(5 * MS);
    assert_false(blk_throttle_cancel(other, p[0].co));
    assert_true(blk_throttle_cancel(blk, p[0].co));
    assert_false(blk_throttle_cancel(blk, p[0].co));
    run_until(5 * MS);
    assert_int_equal(p[0].ret, -ECANCELED);
    assert_true(blk_throttle_cancel(blk, p[2].co));
    run_until(9 * MS);
    assert_int_equal(p[1].ret, 1);
    assert_int_equal(p[2].ret, -ECANCELED);
    run_until(11 * MS);
    assert_int_equal(p[1].ret, 0);       /* when the first would have gone */
    patient_start(&p[0], blk);
    run_until(19 * MS);
    assert_int_equal(p[0].ret, 1);
    run_until(21 * MS);
    assert_int_equal(p[0].ret, 0);
    blk_unref(other);
    blk_unref(blk);
}

/* ---- directions ---- */

static void directions_wait_independently(void **state)
{
    ThrottleConfig cfg = limit(THROTTLE_OPS_READ, 100);
    BlockBackend *blk;
    Client reader = { .bytes = 512, .left = 100 };
    Client writer = { .is_write = true, .bytes = 512, .left = 100 };

    (void)state;
    cfg.buckets[THROTTLE_OPS_WRITE].avg = 200;
    reader.blk = writer.blk = blk = open_limited(NULL, cfg);
    client_start(&reader);
    client_start(&writer);
    assert_int_equal(reader.done, 11);
    assert_int_equal(writer.done, 21);
    run_until(100 * MS);
    assert_int_equal(reader.done, 21);
    assert_int_equal(writer.done, 41);
    reader.left = writer.left = 1;
    blk_unref(blk);
}

static void directions_share_the_total(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    Client reader = { .blk = blk, .bytes = 512, .left = 1000 };
    Client writer = { .blk = blk, .is_write = true, .bytes = 512, .left = 1000 };

    (void)state;
    client_start(&reader);
    client_start(&writer);
    run_until(SECOND);
    assert_in_range(reader.done + writer.done, 110, 113);
    assert_in_range(reader.done, 50, 70);
    reader.left = writer.left = 1;
    blk_unref(blk);
}

/* ---- turns ---- */

static void members_take_turns(void **state)
{
    Client a = { .name = 'a', .is_write = true, .bytes = 512, .left = 1000 };
    Client b = { .name = 'b', .is_write = true, .bytes = 512, .left = 1000 };

    (void)state;
    a.blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 100));
    b.blk = open_member("g");
    use_up(a.blk, true, 11);
    n_admissions = 0;
    client_start(&a);
    client_start(&b);
    run_until(SECOND);
    assert_int_equal(n_admissions, 100);
    assert_order(0, "abababababababababababab");
    assert_int_equal(a.done, 50);
    assert_int_equal(b.done, 50);
    a.left = b.left = 1;
    blk_unref(a.blk);
    blk_unref(b.blk);
}

/* Many wait on each side, more on one, and the loop is late: still one by one. */
static void members_take_turns_whatever_their_backlog(void **state)
{
    BlockBackend *a = open_limited("g", limit(THROTTLE_OPS_TOTAL, 1000)), *b = open_member("g");
    static Client clients[20];

    (void)state;
    use_up(a, true, 101);
    n_admissions = 0;
    for (int i = 0; i < 20; i++) {
        clients[i] = (Client){ .name = i < 14 ? 'a' : 'b', .blk = i < 14 ? a : b,
                               .is_write = true, .bytes = 512, .left = 10000 };
        client_start(&clients[i]);
    }
    run_until_in_steps(SECOND, 3 * MS + 500000);
    assert_in_range(n_admissions, 996, 1004);
    assert_in_range(count_admissions(0, 'a'), n_admissions / 2 - 1, n_admissions / 2 + 1);
    assert_order(0, "abababababababababababababababababab");
    for (int i = 0; i < 20; i++) {
        clients[i].left = 1;
    }
    blk_unref(a);
    blk_unref(b);
}

static void sizes_do_not_matter_for_turns(void **state)
{
    Client a = { .name = 'a', .bytes = 512, .left = 10000 };
    Client b = { .name = 'b', .bytes = 64 * KIB, .left = 10000 };

    (void)state;
    a.blk = open_limited("g", limit(THROTTLE_BPS_TOTAL, 1000000));
    b.blk = open_member("g");
    client_start(&a);
    client_start(&b);
    run_until(100 * MS);
    n_admissions = a.done = b.done = 0;
    run_until(10 * SECOND);
    assert_in_range(n_admissions, 298, 301);        /* 9.9 s at 66048 bytes a pair */
    assert_in_range(a.done, b.done - 1, b.done + 1);
    a.left = b.left = 1;
    blk_unref(a.blk);
    blk_unref(b.blk);
}

static void turns_go_round(void **state)
{
    Client clients[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        clients[i] = (Client){ .name = (char)('a' + i), .bytes = 512, .left = 1000,
                               .blk = open_member("g") };
    }
    set_limits(clients[2].blk, limit(THROTTLE_OPS_READ, 100));
    use_up(clients[3].blk, false, 11);
    n_admissions = 0;
    for (int i = 3; i >= 0; i--) {
        client_start(&clients[i]);
    }
    run_until(90 * MS);
    assert_order(0, "dabcdabcd");       /* the timer was d's already */
    clients[1].left = 1;
    run_until(200 * MS);
    assert_order(9, "abcdacdacda");
    for (int i = 0; i < 4; i++) {
        clients[i].left = 1;
        blk_unref(clients[i].blk);
    }
}

/* ---- members that go ---- */

typedef struct Pair {
    Client a, b;
} Pair;

/* a's request has the timer, b's waits behind it. */
static void pair_start(Pair *p)
{
    *p = (Pair){ .a = { .name = 'a', .is_write = true, .bytes = 512, .left = 1 },
                 .b = { .name = 'b', .is_write = true, .bytes = 512, .left = 2 } };
    p->a.blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 100));
    p->b.blk = open_member("g");
    use_up(p->b.blk, true, 11);
    client_start(&p->a);
    client_start(&p->b);
    run_until(5 * MS);
    assert_int_equal(p->a.done, 0);
    assert_int_equal(p->b.done, 0);
}

/* a's request went at 5 ms and counts, so b waits until 20 ms and then until 30 ms. */
static void pair_finish(Pair *p)
{
    assert_int_equal(p->a.done, 1);
    assert_at(&p->a, 0, 1, 5);
    run_until(19 * MS);
    assert_int_equal(p->b.done, 0);
    run_until(30 * MS);
    assert_at(&p->b, 0, 1, 20);
    assert_at(&p->b, 1, 1, 30);
    blk_unref(p->b.blk);
}

static void draining_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_drain(p.a.blk);
    pair_finish(&p);
    blk_unref(p.a.blk);
}

static void draining_all_lets_everybody_go(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_drain_all();
    assert_int_equal(p.a.done, 1);
    assert_int_equal(p.b.done, 2);      /* the second one came while it was drained */
    blk_unref(p.a.blk);
    blk_unref(p.b.blk);
}

static void leaving_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_io_limits_disable(p.a.blk);
    pair_finish(&p);
    blk_unref(p.a.blk);
}

static void moving_to_another_group_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_io_limits_update_group(p.a.blk, "other");
    assert_string_equal(throttle_group_get_name(p.a.blk), "other");
    pair_finish(&p);
    blk_unref(p.a.blk);
}

static void the_last_reference_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_unref(p.a.blk);
    pair_finish(&p);
}

static void losing_the_medium_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    blk_remove_bs(p.a.blk);
    pair_finish(&p);
    blk_unref(p.a.blk);
}

static void losing_all_media_lets_everybody_go(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    p.b.left = 1;
    blk_remove_all_bs();
    assert_int_equal(p.a.done, 1);
    assert_int_equal(p.b.done, 1);
    blk_unref(p.a.blk);
    blk_unref(p.b.blk);
}

static void moving_the_context_lets_go_and_hands_over(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);
    Pair p;

    (void)state;
    pair_start(&p);
    blk_set_aio_context(p.a.blk, ctx);
    pair_finish(&p);
    blk_set_aio_context(p.a.blk, qemu_get_aio_context());
    blk_unref(p.a.blk);
    aio_context_unref(ctx);
}

static void a_drained_section_lets_go_and_hands_over(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    bdrv_drained_begin(blk_bs(p.a.blk));
    assert_int_equal(p.a.done, 1);
    bdrv_drained_end(blk_bs(p.a.blk));
    pair_finish(&p);
    blk_unref(p.a.blk);
}

/* The turn passes to whom it would have passed to. */
static void turns_go_on_after_a_member_left(void **state)
{
    static const char *const order[] = { "bcbc", "acac", "abab" };

    (void)state;
    for (int leaver = 0; leaver < 3; leaver++) {
        Client clients[3];
        int64_t start = clock_ns;

        for (int i = 0; i < 3; i++) {
            clients[i] = (Client){ .name = (char)('a' + i), .bytes = 512, .left = 1000,
                                   .blk = open_member("g") };
        }
        set_limits(clients[0].blk, limit(THROTTLE_OPS_READ, 100));
        use_up(clients[2].blk, false, 11);
        n_admissions = 0;
        for (int i = 0; i < 3; i++) {
            client_start(&clients[i]);
        }
        run_until(start + 60 * MS);
        assert_order(0, "abcabc");
        clients[leaver].left = 1;
        blk_io_limits_disable(clients[leaver].blk);
        n_admissions = 0;
        run_until(start + 120 * MS);
        assert_order(0, order[leaver]);
        for (int i = 0; i < 3; i++) {
            clients[i].left = 1;
            blk_unref(clients[i].blk);
        }
    }
}

/* Who is let go by a drain has not had his turn, nor has he taken another's. */
static void draining_is_nobodys_turn(void **state)
{
    Client clients[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        clients[i] = (Client){ .name = (char)('a' + i), .bytes = 512, .left = 1000,
                               .blk = open_member("g") };
    }
    set_limits(clients[0].blk, limit(THROTTLE_OPS_READ, 100));
    use_up(clients[2].blk, false, 11);
    n_admissions = 0;
    for (int i = 0; i < 3; i++) {
        client_start(&clients[i]);
    }
    run_until(20 * MS);
    assert_order(0, "ab");
    blk_drained_begin(clients[0].blk);      /* c's timer runs */
    blk_drained_end(clients[0].blk);
    run_until(80 * MS);
    assert_order(0, "abacabca");
    for (int i = 0; i < 3; i++) {
        clients[i].left = 1;
        blk_unref(clients[i].blk);
    }
}

static void an_end_of_draining_throttles_again(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 100));
    Client c = { .blk = blk, .bytes = 512, .left = 100 };

    (void)state;
    client_start(&c);
    assert_int_equal(c.done, 11);
    blk_drained_begin(blk);
    assert_int_equal(c.done, 12);       /* its next request waits at the gate */
    blk_drained_end(blk);
    assert_int_equal(c.done, 12);       /* and then for its turn: 2 above, not 1 */
    run_until(19 * MS);
    assert_int_equal(c.done, 12);
    run_until(20 * MS);
    assert_int_equal(c.done, 13);
    c.left = 1;
    blk_unref(blk);
}

/* ---- new limits ---- */

static void new_limits_let_the_first_go(void **state)
{
    BlockBackend *blk = open_limited(NULL, limit(THROTTLE_OPS_TOTAL, 1));
    Client readers[3], writers[3];

    (void)state;
    use_up(blk, true, 1);
    for (int i = 0; i < 3; i++) {
        readers[i] = (Client){ .blk = blk, .bytes = 512, .left = 1 };
        writers[i] = (Client){ .blk = blk, .is_write = true, .bytes = 512, .left = 1 };
        client_start(&readers[i]);
        client_start(&writers[i]);
    }
    run_until(5 * MS);
    /* The levels start at 0, with nothing but those two: 1 above what is free. */
    set_limits(blk, limit(THROTTLE_OPS_TOTAL, 10));
    assert_int_equal(readers[0].done, 1);
    assert_int_equal(writers[0].done, 1);
    assert_int_equal(readers[1].done + writers[1].done, 0);
    run_until(1000 * MS);
    assert_at(&readers[1], 0, 1, 105);
    assert_at(&writers[1], 0, 1, 105);      /* a timer that goes off lets go without a look */
    assert_at(&readers[2], 0, 1, 205);
    assert_at(&writers[2], 0, 1, 305);
    blk_unref(blk);
}

static void new_limits_hold_for_all_members(void **state)
{
    Pair p;

    (void)state;
    pair_start(&p);
    set_limits(p.b.blk, limit(THROTTLE_OPS_TOTAL, 1));
    assert_int_equal(p.b.done, 1);          /* its first one goes */
    assert_int_equal(p.a.done, 0);
    run_until(904 * MS);
    assert_int_equal(p.a.done, 0);
    run_until(905 * MS);
    assert_at(&p.a, 0, 1, 905);             /* 1 less the 0.1 that is free: 900 ms later */
    run_until(1905 * MS);
    assert_at(&p.b, 1, 1, 1905);
    blk_unref(p.a.blk);
    blk_unref(p.b.blk);
}

/* Who sets them has nothing waiting: whose timer runs waits anew. */
static void new_limits_of_a_bystander(void **state)
{
    BlockBackend *bystander = open_member("g");
    Pair p;

    (void)state;
    pair_start(&p);
    set_limits(bystander, limit(THROTTLE_OPS_TOTAL, 1000));
    assert_int_equal(p.a.done, 1);          /* empty buckets */
    assert_int_equal(p.b.done, 2);
    blk_unref(p.a.blk);
    blk_unref(p.b.blk);
    blk_unref(bystander);
}

static void taking_the_limits_away_lets_everybody_go(void **state)
{
    ThrottleConfig none;
    Pair p;

    (void)state;
    throttle_config_init(&none);
    pair_start(&p);
    blk_set_io_limits(p.a.blk, &none);
    assert_int_equal(p.a.done, 1);
    assert_int_equal(p.b.done, 2);
    blk_unref(p.a.blk);
    blk_unref(p.b.blk);
}

/* ---- groups ---- */

static void limits_are_read_back_as_they_were_set(void **state)
{
    BlockBackend *blk = open_member("g"), *other = open_member("g");
    ThrottleConfig cfg, back;

    (void)state;
    throttle_config_init(&cfg);
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (i != THROTTLE_BPS_TOTAL && i != THROTTLE_OPS_TOTAL) {
            cfg.buckets[i].avg = 1000.5 + i;
            cfg.buckets[i].max = i % 2 ? 0 : 1e6 + i;
            cfg.buckets[i].burst_length = i % 2 ? 1 : 7;
        }
    }
    cfg.op_size = 4097;
    throttle_group_get_config(blk, &back);
    assert_false(throttle_enabled(&back));
    blk_set_io_limits(blk, &cfg);
    use_up(blk, true, 100);                 /* levels are none of its business */
    throttle_group_get_config(other, &back);
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        assert_memory_equal(&back.buckets[i].avg, &cfg.buckets[i].avg, sizeof(double));
        assert_memory_equal(&back.buckets[i].max, &cfg.buckets[i].max, sizeof(double));
        assert_true(back.buckets[i].level <= 0 && back.buckets[i].burst_level <= 0);
        assert_int_equal(back.buckets[i].burst_length, cfg.buckets[i].burst_length);
    }
    assert_int_equal(back.op_size, cfg.op_size);
    blk_unref(blk);
    blk_unref(other);
}

static void a_group_is_named_like_its_first_backend_by_default(void **state)
{
    BlockBackend *named = open_disk(), *x = open_disk(), *y = open_disk(), *member = open_disk();
    ThrottleConfig cfg;

    (void)state;
    assert_true(monitor_add_blk(named, "drive0", &error_abort));
    blk_io_limits_enable(named, NULL);
    set_limits(named, limit(THROTTLE_OPS_TOTAL, 7));
    assert_string_equal(throttle_group_get_name(named), "drive0");
    blk_io_limits_enable(member, "drive0");
    throttle_group_get_config(member, &cfg);
    assert_true(throttle_enabled(&cfg));
    /* Two without a name do not share a group. */
    blk_io_limits_enable(x, NULL);
    blk_io_limits_enable(y, NULL);
    set_limits(x, limit(THROTTLE_OPS_TOTAL, 7));
    throttle_group_get_config(y, &cfg);
    assert_false(throttle_enabled(&cfg));
    monitor_remove_blk(named);
    blk_unref(named);
    blk_unref(member);
    blk_unref(x);
    blk_unref(y);
}

static void a_group_goes_with_its_last_member(void **state)
{
    BlockBackend *blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 7)), *other = open_member("g");
    ThrottleConfig cfg;

    (void)state;
    blk_io_limits_disable(blk);
    throttle_group_get_config(other, &cfg);
    assert_true(throttle_enabled(&cfg));
    blk_io_limits_disable(other);
    blk_io_limits_enable(blk, "g");
    throttle_group_get_config(blk, &cfg);
    assert_false(throttle_enabled(&cfg));
    blk_unref(blk);
    blk_unref(other);
}

static void moving_between_groups(void **state)
{
    BlockBackend *a = open_limited("a", limit(THROTTLE_OPS_TOTAL, 7));
    BlockBackend *b = open_limited("b", limit(THROTTLE_BPS_READ, 9)), *none = open_disk();
    ThrottleConfig cfg;

    (void)state;
    blk_io_limits_update_group(a, "a");     /* the same: nothing */
    throttle_group_get_config(a, &cfg);
    assert_true(cfg.buckets[THROTTLE_OPS_TOTAL].avg > 0);
    blk_io_limits_update_group(a, "b");
    assert_string_equal(throttle_group_get_name(a), "b");
    throttle_group_get_config(a, &cfg);
    assert_true(cfg.buckets[THROTTLE_BPS_READ].avg > 0);
    blk_io_limits_update_group(none, "b");  /* no member: nothing */
    blk_io_limits_disable(b);
    blk_io_limits_enable(b, NULL);
    set_limits(b, limit(THROTTLE_BPS_READ, 9));
    blk_io_limits_update_group(b, NULL);    /* its own again: nothing */
    throttle_group_get_config(b, &cfg);
    assert_true(throttle_enabled(&cfg));
    blk_io_limits_enable(none, "c");
    blk_unref(a);
    blk_unref(b);
    blk_unref(none);
}

static void preconditions(void **state)
{
    BlockBackend *in = open_member("g"), *out = open_disk();
    ThrottleConfig cfg = limit(THROTTLE_OPS_TOTAL, -1);

    (void)state;
    EXPECT_ABORT(blk_io_limits_enable(in, "g"));
    EXPECT_ABORT(blk_io_limits_enable(in, "other"));
    EXPECT_ABORT(blk_set_io_limits(in, &cfg));
    cfg = limit(THROTTLE_OPS_TOTAL, 1);
    EXPECT_ABORT(blk_set_io_limits(out, &cfg));
    EXPECT_ABORT(blk_io_limits_disable(out));
    EXPECT_ABORT(throttle_group_get_config(out, &cfg));
    EXPECT_ABORT(throttle_group_get_name(out));
    EXPECT_ABORT(blk_apply_root_state(out, blk_bs(in)));
    blk_unref(in);
    blk_unref(out);
}

/* ---- media ---- */

static void limits_and_debts_outlive_the_medium(void **state)
{
    BlockBackend *blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 100));
    BlockBackendRootState *root_state = blk_get_root_state(blk);
    BlockDriverState *next = open_node(NULL, BDRV_O_RDWR);
    Client c = { .blk = blk, .bytes = 512, .left = 1 };
    ThrottleConfig cfg;

    (void)state;
    use_up(blk, false, 11);
    blk_remove_bs(blk);
    assert_string_equal(root_state->throttle_group, "g");
    assert_non_null(root_state->throttle_state);
    throttle_group_get_config(blk, &cfg);
    assert_true(cfg.buckets[THROTTLE_OPS_TOTAL].avg > 0);
    blk_apply_root_state(blk, next);
    blk_insert_bs(blk, next);
    bdrv_unref(next);
    client_start(&c);
    assert_int_equal(c.done, 0);
    run_until(10 * MS);
    assert_int_equal(c.done, 1);
    blk_unref(blk);
}

/* In either order: membership is the backend's. */
static void the_next_medium_may_be_in_before_its_state_is_applied(void **state)
{
    BlockBackend *blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 100));
    BlockDriverState *next = open_node(NULL, BDRV_O_RDWR);

    (void)state;
    blk_remove_bs(blk);
    blk_insert_bs(blk, next);
    blk_apply_root_state(blk, next);
    bdrv_unref(next);
    assert_string_equal(throttle_group_get_name(blk), "g");
    blk_unref(blk);
}

static void what_is_remembered_follows_the_group(void **state)
{
    BlockBackend *blk = open_disk();
    BlockBackendRootState *root_state = blk_get_root_state(blk);

    (void)state;
    blk_update_root_state(blk);
    assert_null(root_state->throttle_group);
    assert_null(root_state->throttle_state);
    blk_io_limits_enable(blk, "a");
    assert_null(root_state->throttle_group);
    blk_update_root_state(blk);
    assert_string_equal(root_state->throttle_group, "a");
    blk_io_limits_update_group(blk, "b");
    blk_update_root_state(blk);
    assert_string_equal(root_state->throttle_group, "b");
    blk_io_limits_disable(blk);
    blk_update_root_state(blk);
    assert_null(root_state->throttle_group);
    assert_null(root_state->throttle_state);
    blk_unref(blk);
}

static void an_empty_backend_can_be_given_limits(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockBackendRootState *root_state = blk_get_root_state(blk);
    BlockDriverState *bs = open_node(NULL, BDRV_O_RDWR);
    Client c = { .blk = blk, .bytes = 512, .left = 12 };

    (void)state;
    blk_io_limits_enable(blk, "a");
    assert_string_equal(root_state->throttle_group, "a");
    blk_io_limits_update_group(blk, "b");
    assert_string_equal(root_state->throttle_group, "b");
    blk_io_limits_disable(blk);
    assert_null(root_state->throttle_group);
    blk_io_limits_enable(blk, "c");
    set_limits(blk, limit(THROTTLE_OPS_TOTAL, 100));
    blk_insert_bs(blk, bs);
    bdrv_unref(bs);
    client_start(&c);
    assert_int_equal(c.done, 11);
    blk_drain(blk);
    blk_unref(blk);
}

/* The remembered group lives on without a member, and its limits are there for who joins. */
static void what_is_remembered_keeps_the_group(void **state)
{
    BlockBackend *blk = open_limited("g", limit(THROTTLE_OPS_TOTAL, 7)), *other;
    BlockDriverState *next = open_node(NULL, 0);
    ThrottleConfig cfg;

    (void)state;
    blk_update_root_state(blk);
    blk_io_limits_disable(blk);
    other = open_member("g");
    throttle_group_get_config(other, &cfg);
    assert_true(cfg.buckets[THROTTLE_OPS_TOTAL].avg > 0);
    set_limits(other, limit(THROTTLE_BPS_TOTAL, 5));
    blk_apply_root_state(blk, next);
    assert_string_equal(throttle_group_get_name(blk), "g");
    throttle_group_get_config(blk, &cfg);       /* as they are now */
    assert_true(cfg.buckets[THROTTLE_BPS_TOTAL].avg > 0);
    bdrv_unref(next);
    blk_unref(other);
    blk_unref(blk);
    /* With both of them gone, so is the group. */
    other = open_member("g");
    throttle_group_get_config(other, &cfg);
    assert_false(throttle_enabled(&cfg));
    blk_unref(other);
}

static void applying_moves_to_the_remembered_group(void **state)
{
    BlockBackend *blk = open_member("a");
    BlockDriverState *next = open_node(NULL, 0);

    (void)state;
    blk_update_root_state(blk);
    blk_io_limits_update_group(blk, "b");
    blk_apply_root_state(blk, next);
    assert_string_equal(throttle_group_get_name(blk), "a");
    bdrv_unref(next);
    blk_unref(blk);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(iops_go_evenly),
        TEST(bytes_go_evenly),
        TEST(large_requests_leave_debts),
        TEST(a_burst_goes_at_once),
        TEST(a_long_burst_has_a_speed),
        TEST(large_requests_count_more_operations),
        TEST(reads_writes_and_zero_writes_count_as_requested),
        TEST(compressed_writes_count_too),
        TEST(an_empty_request_is_one_operation),
        TEST(a_rejected_request_uses_nothing_up),
        TEST(a_write_to_an_inactive_node_uses_nothing_up),
        TEST(discards_and_flushes_are_never_throttled),
        TEST(a_mapping_that_is_refused_uses_nothing_up),
        TEST(a_mapping_is_throttled_like_a_read),
        TEST(unthrottled_reads_neither_wait_nor_count),
        TEST(requests_of_a_backend_keep_their_order),
        TEST(all_that_are_due_go_with_one_timer),
        TEST(asynchronous_requests_wait_too),
        TEST(synchronous_requests_wait_too),
        TEST(cancelling_waits_for_the_turn),
        TEST(a_cancelled_request_fails_and_uses_nothing_up),
        TEST(directions_wait_independently),
        TEST(directions_share_the_total),
        TEST(members_take_turns),
        TEST(members_take_turns_whatever_their_backlog),
        TEST(sizes_do_not_matter_for_turns),
        TEST(turns_go_round),
        TEST(draining_lets_go_and_hands_over),
        TEST(draining_all_lets_everybody_go),
        TEST(leaving_lets_go_and_hands_over),
        TEST(moving_to_another_group_lets_go_and_hands_over),
        TEST(the_last_reference_lets_go_and_hands_over),
        TEST(losing_the_medium_lets_go_and_hands_over),
        TEST(losing_all_media_lets_everybody_go),
        TEST(moving_the_context_lets_go_and_hands_over),
        TEST(a_drained_section_lets_go_and_hands_over),
        TEST(turns_go_on_after_a_member_left),
        TEST(draining_is_nobodys_turn),
        TEST(an_end_of_draining_throttles_again),
        TEST(new_limits_let_the_first_go),
        TEST(new_limits_hold_for_all_members),
        TEST(new_limits_of_a_bystander),
        TEST(taking_the_limits_away_lets_everybody_go),
        TEST(limits_are_read_back_as_they_were_set),
        TEST(a_group_is_named_like_its_first_backend_by_default),
        TEST(a_group_goes_with_its_last_member),
        TEST(moving_between_groups),
        TEST(preconditions),
        TEST(limits_and_debts_outlive_the_medium),
        TEST(the_next_medium_may_be_in_before_its_state_is_applied),
        TEST(what_is_remembered_follows_the_group),
        TEST(an_empty_backend_can_be_given_limits),
        TEST(what_is_remembered_keeps_the_group),
        TEST(applying_moves_to_the_remembered_group),
    };

    return cmocka_run_group_tests_name("throttle-group", tests, blk_test_setup, NULL);
}
