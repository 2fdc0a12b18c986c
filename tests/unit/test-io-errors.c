/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every way in which a medium can fail below a request, and what the caller
 * sees of it; and requests that take long, while others come or the medium goes.
 */
#include "blkdebug-test.h"

#include <sched.h>

#define RULE(text) "'inject-error':[{" text "}]"

static uint8_t data[256 * KIB];

static int write_at(DebugDisk *d, int64_t offset, int bytes, int value)
{
    memset(data, value, (size_t)bytes);
    return blk_pwrite(d->blk, offset, data, bytes);
}

static int read_at(DebugDisk *d, int64_t offset, int bytes)
{
    return blk_pread(d->blk, offset, data, bytes);
}

/* ---- each operation, each errno ---- */

static const int errnos[] = { EIO, ENOSPC, EDQUOT, ENOMEM, EPERM, ENXIO, ETIMEDOUT };

static int64_t coroutine_fn co_read(void *blk)
{
    Linear l;

    return blk_co_preadv(blk, 0, 512, linear(&l, data, 512), 0);
}

static int64_t coroutine_fn co_write(void *blk)
{
    Linear l;

    return blk_co_pwritev(blk, 0, 512, linear(&l, data, 512), 0);
}

static int64_t coroutine_fn co_zero(void *blk)
{
    return blk_co_pwrite_zeroes(blk, 0, 512, 0);
}

static int64_t coroutine_fn co_discard(void *blk)
{
    return blk_co_pdiscard(blk, 0, 512);
}

static int64_t coroutine_fn co_flush(void *blk)
{
    return blk_co_flush(blk);
}

static void check_every_form(BlockBackend *blk, int error)
{
    AioResult r[5] = { { 0 } };
    Linear l;

    linear(&l, data, 512);
    assert_int_equal(blk_pread(blk, 0, data, 512), error);
    assert_int_equal(blk_read(blk, 0, data, 1), error);
    assert_int_equal(blk_read_unthrottled(blk, 0, data, 1), error);
    assert_int_equal(blk_pwrite(blk, 0, data, 512), error);
    assert_int_equal(blk_write(blk, 0, data, 1), error);
    assert_int_equal(blk_write_zeroes(blk, 0, 1, 0), error);
    assert_int_equal(blk_pwrite_zeroes(blk, 0, 512, 0), error);
    assert_int_equal(blk_discard(blk, 0, 1), error);
    assert_int_equal(blk_flush(blk), error);
    assert_int_equal(co_call(co_read, blk), error);
    assert_int_equal(co_call(co_write, blk), error);
    assert_int_equal(co_call(co_zero, blk), error);
    assert_int_equal(co_call(co_discard, blk), error);
    assert_int_equal(co_call(co_flush, blk), error);
    blk_aio_readv(blk, 0, &l.qiov, 1, aio_result_cb, &r[0]);
    blk_aio_writev(blk, 0, &l.qiov, 1, aio_result_cb, &r[1]);
    blk_aio_write_zeroes(blk, 0, 1, 0, aio_result_cb, &r[2]);
    blk_aio_discard(blk, 0, 1, aio_result_cb, &r[3]);
    blk_aio_flush(blk, aio_result_cb, &r[4]);
    blk_drain(blk);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].ret, error);
    }
}

static void error_reaches_every_form(void **state)
{
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
        char options[100];

        snprintf(options, sizeof(options), RULE("'errno':%d"), errnos[i]);
        debug_open_root(&d, i % 2 ? "raw" : "blkdebug", WRITE_BACK, options);
        check_every_form(d.blk, -errnos[i]);
        debug_close(&d);
    }
}

static void error_of_one_request_is_not_that_of_the_next(void **state)
{
    AioResult r[4] = { { 0 } };
    Linear l;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'read','after':1,'count':2"));
    linear(&l, data, 512);
    for (int i = 0; i < 4; i++) {
        blk_aio_preadv(d.blk, i * 512, &l.qiov, 0, aio_result_cb, &r[i]);
    }
    blk_drain(d.blk);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].ret, i == 1 || i == 2 ? -EIO : 0);
    }
    debug_close(&d);
}

static void multiwrite_has_one_result(void **state)
{
    AioResult r[3] = { { 0 } };
    BlockRequest reqs[3];
    Linear l[3];
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write','sector':100,'errno':28"));
    for (int i = 0; i < 3; i++) {
        reqs[i] = (BlockRequest){ .sector = 200 - 100 * i, .nb_sectors = 1, .cb = aio_result_cb,
                                  .qiov = linear(&l[i], data, 512), .opaque = &r[i] };
    }
    assert_int_equal(blk_aio_multiwrite(d.blk, reqs, 3), 0);
    blk_drain(d.blk);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].ret, -ENOSPC);
        assert_int_equal(reqs[i].error, 0);
    }
    assert_calls(&d, "write@0+512 write@51200+512 write@102400+512");
    debug_close(&d);
}

static void block_status_fails(void **state)
{
    DebugDisk d;
    int64_t n = 77;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'block-status','errno':28"));
    assert_int_equal(blk_block_status(d.blk, 0, 4096, &n), -ENOSPC);
    debug_close(&d);
}

/* ---- cut short, split ---- */

static void short_transfers_fail(void **state)
{
    AioResult r = { 0 };
    Linear l;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'short':1024,'sector':16"));
    assert_int_equal(read_at(&d, 8192, 4096), -EIO);
    assert_int_equal(write_at(&d, 8192, 4096, 3), -EIO);
    assert_int_equal(blk_write_zeroes(d.blk, 16, 8, 0), -EIO);
    assert_int_equal(blk_discard(d.blk, 16, 8), -EIO);
    blk_aio_readv(d.blk, 16, linear(&l, data, 4096), 8, aio_result_cb, &r);
    assert_int_equal(aio_result_wait(&r), -EIO);
    debug_close(&d);
}

/* A request in pieces ends with the first piece that fails. */
static void piece_that_fails_is_the_last(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'max-transfer':4096,'max-write-zero':4096,'max-discard':4096,"
               RULE("'sector':8"));
    assert_int_equal(write_at(&d, 0, 16384, 1), -EIO);
    assert_int_equal(read_at(&d, 0, 16384), -EIO);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 16384, 0), -EIO);
    assert_int_equal(blk_pdiscard(d.blk, 0, 16384), -EIO);
    assert_calls(&d, "write@0+4096 write@4096+4096 read@0+4096 read@4096+4096 "
                     "zero@0+4096 zero@4096+4096 discard@0+4096 discard@4096+4096");
    debug_close(&d);
}

/* ---- read-modify-write ---- */

/* One block, head and tail in two, in many: the read of either end fails. */
static void failing_read_leaves_all_as_it_was(void **state)
{
    static const struct {
        int64_t offset;
        int bytes, fails_at;
        const char *calls;
    } cases[] = {
        { 5000, 100, 4096, "read@4096+4096" },
        { 5000, 4096, 4096, "read@4096+4096" },
        { 5000, 4096, 8192, "read@4096+4096 read@8192+4096" },
        { 4096, 5000, 8192, "read@8192+4096" },
        { 5000, 20000, 4096, "read@4096+4096" },
        { 5000, 20000, 24576, "read@4096+4096 read@24576+4096" },
    };
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char options[120];

        snprintf(options, sizeof(options), "'align':4096,"
                 RULE("'iotype':'read','offset':%d,'errno':6,'once':true"), cases[i].fails_at);
        debug_open(&d, WRITE_THROUGH, options);
        assert_int_equal(write_at(&d, cases[i].offset, cases[i].bytes, 0x99), -ENXIO);
        assert_calls(&d, cases[i].calls);
        assert_bytes(d.blk, 0, 64 * KIB, 0);
        debug_close(&d);
    }
}

static void failing_write_is_the_result_of_the_cycle(void **state)
{
    AioResult r = { 0 };
    Linear l;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH, "'align':4096," RULE("'iotype':'write','errno':28,'count':3"));
    assert_int_equal(write_at(&d, 100, 100, 1), -ENOSPC);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 100, 100, 0), -ENOSPC);
    blk_aio_pwritev(d.blk, 100, linear(&l, data, 5000), 0, aio_result_cb, &r);
    assert_int_equal(aio_result_wait(&r), -ENOSPC);
    assert_calls(&d, "read@0+4096 write@0+4096 read@0+4096 write@0+4096 "
                     "read@0+4096 read@4096+4096 write@0+8192");
    /* and nobody waits for it for ever */
    assert_int_equal(write_at(&d, 100, 100, 1), 100);
    debug_close(&d);
}

/* Zero writes: a misaligned end is a cycle of its own (D3: the neighbours stay). */
static void failing_end_of_a_zero_write(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096,"
               RULE("'iotype':'read','offset':0,'length':4096,'errno':28,'once':true"));
    memset(data, 0x42, sizeof(data));
    assert_int_equal(blk_pwrite(d.blk, 0, data, 16384), 16384);
    debug_forget(&d);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 4000, 8288, 0), -ENOSPC);
    assert_bytes(d.blk, 0, 4000, 0x42);
    assert_bytes(d.blk, 12288, 4096, 0x42);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 4000, 9000, 0), 0);
    assert_bytes(d.blk, 0, 4000, 0x42);
    assert_bytes(d.blk, 4000, 9000, 0);
    assert_bytes(d.blk, 13000, 3384, 0x42);
    debug_close(&d);
}

/* ---- zero writes that a driver cannot do (R9) ---- */

static void zeroes_are_written_as_data(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write-zeroes','errno':95"));
    memset(data, 0x42, sizeof(data));
    assert_int_equal(blk_pwrite(d.blk, 0, data, 64 * KIB), 64 * KIB);
    debug_forget(&d);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 512, 32 * KIB, 0), 0);
    assert_calls(&d, "zero@512+32768 write@512+32768");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 512, 4096, BDRV_REQ_MAY_UNMAP), 0);
    assert_calls(&d, "zero@512+4096:unmap write@512+4096");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 512, BDRV_REQ_NO_FALLBACK), -ENOTSUP);
    assert_calls(&d, "zero@0+512");
    assert_bytes(d.blk, 0, 512, 0x42);
    assert_bytes(d.blk, 512, 32 * KIB, 0);
    assert_bytes(d.blk, 512 + 32 * KIB, 512, 0x42);
    debug_close(&d);
}

/* Piece by piece: the one that can be done efficiently is. */
static void only_the_piece_that_cannot_falls_back(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'opt-write-zero':65536,'max-transfer':16384,"
               RULE("'iotype':'write-zeroes','errno':95,'offset':0,'length':65536"));
    assert_int_equal(blk_pwrite_zeroes(d.blk, 32 * KIB, 128 * KIB, 0), 0);
    assert_calls(&d, "zero@32768+32768 write@32768+16384 write@49152+16384 "
                     "zero@65536+65536 zero@131072+32768");
    debug_close(&d);
}

static void data_in_place_of_zeroes_come_in_16_mib(void **state)
{
    BlockBackend *blk;
    DebugDisk d;

    (void)state;
    debug_log_make(&d);
    blk = open_options(WRITE_BACK, &error_abort,
                       "'driver':'blkdebug','image':{'driver':'null-co','size':'1G'},"
                       "'log':'%s'," RULE("'iotype':'write-zeroes','errno':95"), d.log);
    debug_forget(&d);
    assert_int_equal(blk_pwrite_zeroes(blk, 512, 40 * MIB, 0), 0);
    assert_calls(&d, "zero@512+41943040 write@512+16777216 write@16777728+16777216 "
                     "write@33554944+8388608");
    blk_unref(blk);
    unlink(d.log);
}

static void other_errors_of_zero_writes_end_them(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'max-write-zero':4096,"
               RULE("'iotype':'write-zeroes','errno':28,'sector':8"));
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 16384, 0), -ENOSPC);
    assert_calls(&d, "zero@0+4096 zero@4096+4096");
    debug_close(&d);

    /* and so do those of the data */
    debug_open(&d, WRITE_BACK, "'inject-error':[{'iotype':'write-zeroes','errno':95},"
               "{'iotype':'write','errno':28}]");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, 0), -ENOSPC);
    assert_calls(&d, "zero@0+4096 write@0+4096");
    debug_close(&d);
}

/* ---- discards (R11) ---- */

static void discard_that_is_not_supported_succeeds(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'max-discard':4096,"
               RULE("'iotype':'discard','errno':95,'sector':8"));
    assert_int_equal(blk_pdiscard(d.blk, 0, 12288), 0);
    assert_calls(&d, "discard@0+4096 discard@4096+4096 discard@8192+4096");
    debug_close(&d);
}

static void other_errors_of_discards_end_them(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'max-discard':4096,"
               RULE("'iotype':'discard','errno':28,'sector':8"));
    assert_int_equal(blk_pdiscard(d.blk, 0, 12288), -ENOSPC);
    assert_int_equal(blk_discard(d.blk, 16, 8), 0);
    assert_calls(&d, "discard@0+4096 discard@4096+4096 discard@8192+4096");
    debug_close(&d);
}

static void discard_without_permission_reaches_nobody(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open_root(&d, "blkdebug", BDRV_O_RDWR | BDRV_O_CACHE_WB, RULE("'errno':28"));
    assert_int_equal(blk_pdiscard(d.blk, 0, 4096), 0);
    assert_calls(&d, "");
    debug_close(&d);
}

/* ---- resizing (F94) ---- */

static int resized;

static void count_resize(void *opaque)
{
    (void)opaque;
    resized++;
}

static const BlockDevOps resize_ops = { .resize_cb = count_resize };

static void failed_resize_changes_nothing(void **state)
{
    static const int which[] = { ENOSPC, EFBIG, EINVAL, ENOTSUP };
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char options[100];

        snprintf(options, sizeof(options), RULE("'iotype':'truncate','errno':%d"), which[i]);
        debug_open(&d, WRITE_BACK, options);
        blk_set_dev_ops(d.blk, &resize_ops, NULL);
        resized = 0;
        assert_int_equal(blk_truncate(d.blk, 2 * DISK_SIZE), -which[i]);
        assert_int_equal(blk_truncate(d.blk, 512), -which[i]);
        assert_int_equal(resized, 0);
        assert_int_equal(blk_getlength(d.blk), DISK_SIZE);
        assert_int_equal(read_at(&d, DISK_SIZE - 512, 512), 512);
        assert_int_equal(read_at(&d, DISK_SIZE, 512), -EIO);
        debug_close(&d);
    }
}

static void resize_tells_the_device(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'truncate','errno':0,'after':9"));
    blk_set_dev_ops(d.blk, &resize_ops, NULL);
    resized = 0;
    memset(data, 0x42, sizeof(data));
    assert_int_equal(blk_truncate(d.blk, 4000), 0);     /* up to a sector */
    assert_int_equal(resized, 1);
    assert_int_equal(blk_getlength(d.blk), 4096);
    assert_int_equal(read_at(&d, 4096, 1), -EIO);
    assert_int_equal(blk_truncate(d.blk, 8192), 0);
    assert_int_equal(resized, 2);
    assert_bytes(d.blk, 4096, 4096, 0);
    assert_int_equal(blk_truncate(d.blk, -1), -EINVAL);
    assert_int_equal(resized, 2);
    debug_close(&d);
}

static void size_that_cannot_be_asked_again_fails_the_resize(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open_root(&d, "blkdebug", WRITE_BACK,
                    RULE("'iotype':'getlength','after':1,'errno':6"));
    blk_set_dev_ops(d.blk, &resize_ops, NULL);
    resized = 0;
    assert_int_equal(blk_truncate(d.blk, 2 * DISK_SIZE), -ENXIO);
    assert_int_equal(resized, 0);
    debug_close(&d);
}

/* ---- who waits for whom (R8) ---- */

typedef struct Pending {
    AioResult r;
    Linear l;
    uint8_t buf[16384];
} Pending;

static Pending *start_write(DebugDisk *d, int64_t offset, int bytes, int value)
{
    Pending *p = calloc(1, sizeof(*p));

    memset(p->buf, value, sizeof(p->buf));
    blk_aio_pwritev(d->blk, offset, linear(&p->l, p->buf, (size_t)bytes), 0, aio_result_cb, &p->r);
    return p;
}

static Pending *start_read(DebugDisk *d, int64_t offset, int bytes)
{
    Pending *p = calloc(1, sizeof(*p));

    blk_aio_preadv(d->blk, offset, linear(&p->l, p->buf, (size_t)bytes), 0, aio_result_cb, &p->r);
    return p;
}

static void end(Pending *p, int want)
{
    while (!p->r.calls) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(p->r.calls, 1);
    assert_int_equal(p->r.ret, want);
    free(p);
}

/* [4096, 8192) is being read, modified and written. */
static void overlapping_requests_wait_for_the_cycle(void **state)
{
    Pending *cycle, *write, *read, *other_write, *other_read;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    cycle = start_write(&d, 5000, 100, 1);
    assert_true(blk_debug_is_suspended(d.blk, "A"));
    assert_calls(&d, "read@4096+4096 write@4096+4096");

    write = start_write(&d, 4096, 8192, 2);
    read = start_read(&d, 0, 8192);
    other_write = start_write(&d, 8192, 4096, 3);
    other_read = start_read(&d, 0, 4096);
    end(other_write, 0);
    end(other_read, 0);
    assert_calls(&d, "write@8192+4096 read@0+4096");
    poll_what_is_due();
    assert_int_equal(cycle->r.calls + write->r.calls + read->r.calls, 0);

    assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
    end(cycle, 0);
    end(write, 0);
    end(read, 0);
    assert_bytes(d.blk, 4096, 8192, 2);
    debug_close(&d);
}

/* And the cycle waits for those that came before it. */
static void cycle_waits_for_overlapping_requests(void **state)
{
    Pending *write, *cycle;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    write = start_write(&d, 0, 4096, 7);
    cycle = start_write(&d, 100, 10, 8);
    poll_what_is_due();
    assert_calls(&d, "write@0+4096");
    assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
    end(write, 0);
    end(cycle, 0);
    assert_bytes(d.blk, 0, 100, 7);
    assert_bytes(d.blk, 100, 10, 8);
    assert_bytes(d.blk, 110, 3986, 7);
    debug_close(&d);
}

static void cycles_of_one_block_do_not_lose_each_other(void **state)
{
    Pending *p[16];
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096,"
               RULE("'iotype':'read','delay-ns':100000"));
    for (int i = 0; i < 16; i++) {
        p[i] = start_write(&d, 256 * i, 256, i + 1);
    }
    blk_drain(d.blk);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(p[i]->r.calls, 1);
        assert_int_equal(p[i]->r.ret, 0);
        free(p[i]);
        assert_bytes(d.blk, 256 * i, 256, i + 1);
    }
    debug_close(&d);
}

/* Only a cycle excludes others: plain requests overlap as they like. */
static void plain_requests_do_not_wait(void **state)
{
    Pending *first, *second;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    first = start_write(&d, 0, 4096, 1);
    second = start_write(&d, 0, 4096, 2);
    end(second, 0);
    assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
    end(first, 0);
    assert_bytes(d.blk, 0, 4096, 1);
    debug_close(&d);
}

/* A discard and a zero write overlap a cycle too. */
static void discards_and_zeroes_wait_as_well(void **state)
{
    AioResult zero = { 0 }, discard = { 0 }, flush = { 0 };
    Pending *cycle;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    cycle = start_write(&d, 100, 100, 1);
    blk_aio_pwrite_zeroes(d.blk, 0, 8192, 0, aio_result_cb, &zero);
    blk_aio_pdiscard(d.blk, 0, 8192, aio_result_cb, &discard);
    blk_aio_flush(d.blk, aio_result_cb, &flush);
    assert_int_equal(aio_result_wait(&flush), 0);   /* says nothing about writes in flight */
    assert_int_equal(zero.calls + discard.calls, 0);
    assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
    end(cycle, 0);
    blk_drain(d.blk);
    assert_int_equal(zero.calls, 1);
    assert_int_equal(discard.calls, 1);
    debug_close(&d);
}

/* ---- a request in flight when ... (§3.8) ---- */

static void resume_bh(void *opaque)
{
    DebugDisk *d = opaque;

    assert_int_equal(blk_debug_resume(d->blk, "A"), 0);
}

/* A write that is suspended, and goes on as soon as somebody polls. */
static Pending *start_long_write(DebugDisk *d)
{
    Pending *p;

    assert_int_equal(blk_debug_breakpoint(d->blk, "write", "A"), 0);
    p = start_write(d, 0, 4096, 9);
    assert_true(blk_debug_is_suspended(d->blk, "A"));
    assert_int_equal(p->r.calls, 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume_bh, d);
    return p;
}

/* Its callback has run by now, with success. */
static void assert_ended_well(Pending *p)
{
    assert_int_equal(p->r.calls, 1);
    assert_int_equal(p->r.ret, 0);
    free(p);
}

static void drain_waits(void **state)
{
    DebugDisk d, idle;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    debug_open(&idle, WRITE_BACK, "");
    p = start_long_write(&d);
    blk_drain(idle.blk);
    assert_int_equal(p->r.calls, 0);
    blk_drain(d.blk);
    assert_ended_well(p);

    p = start_long_write(&d);
    blk_drain_all();
    assert_ended_well(p);
    blk_drain_all();

    p = start_long_write(&d);
    blk_drained_begin(d.blk);
    assert_ended_well(p);
    blk_drained_end(d.blk);
    debug_close(&idle);
    debug_close(&d);
}

static void drain_waits_for_failing_requests(void **state)
{
    AioResult r[3] = { { 0 } };
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'delay-ns':1000000,'errno':28"));
    for (int i = 0; i < 3; i++) {
        blk_aio_pwrite_zeroes(d.blk, i * 512, 512, 0, aio_result_cb, &r[i]);
    }
    blk_drain(d.blk);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].calls, 1);
        assert_int_equal(r[i].ret, -ENOSPC);
    }
    debug_close(&d);
}

/* The callback of a request starts the next one. */
typedef struct Chain {
    DebugDisk *d;
    int left;
} Chain;

static void next_of_chain(void *opaque, int ret)
{
    Chain *chain = opaque;

    assert_int_equal(ret, 0);
    if (chain->left-- > 0) {
        blk_aio_pwrite_zeroes(chain->d->blk, 0, 512, 0, next_of_chain, chain);
    }
}

static void drain_waits_for_what_callbacks_start(void **state)
{
    DebugDisk d;
    Chain chain = { &d, 10 };

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    next_of_chain(&chain, 0);
    blk_drain(d.blk);
    assert_int_equal(chain.left, -1);
    debug_close(&d);
}

static int64_t coroutine_fn co_drain(void *opaque)
{
    DebugDisk *d = opaque;

    blk_drain(d->blk);
    return 0;
}

static void drain_in_a_coroutine_waits(void **state)
{
    DebugDisk d;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    co_call(co_drain, &d);
    assert_ended_well(p);
    debug_close(&d);
}

/* The backend lives in another thread, which runs its loop and its callbacks. */
static void waiting_for_another_thread(void **state)
{
    AioContext *main_ctx = qemu_get_aio_context();
    LoopThread loop;
    DebugDisk d;

    (void)state;
    loop_thread_start(&loop);
    debug_open(&d, WRITE_BACK, "");
    aio_context_acquire(main_ctx);
    blk_set_aio_context(d.blk, loop.ctx);
    aio_context_release(main_ctx);
    for (int how = 0; how < 4; how++) {
        AioResult r = { 0 };
        BlockAIOCB *acb;

        assert_int_equal(blk_debug_breakpoint(d.blk, "write-zeroes", "A"), 0);
        acb = blk_aio_pwrite_zeroes(d.blk, 0, 512, 0, aio_result_cb, &r);
        while (!blk_debug_is_suspended(d.blk, "A")) {
            sched_yield();
        }
        /* goes on when we wait, not before: its AIOCB must live until it is cancelled */
        aio_bh_schedule_oneshot(main_ctx, resume_bh, &d);
        if (how == 0) {
            blk_drain(d.blk);
        } else if (how == 1) {
            blk_drain_all();
        } else if (how == 2) {
            blk_aio_cancel(acb);
        } else {
            aio_context_acquire(loop.ctx);
            blk_set_aio_context(d.blk, main_ctx);
            aio_context_release(loop.ctx);
        }
        assert_int_equal(r.calls, 1);
        assert_int_equal(r.ret, 0);
        assert_true(r.ctx == loop.ctx);
    }
    debug_close(&d);
    loop_thread_stop(&loop);
}

static void medium_goes_after_the_request(void **state)
{
    DebugDisk d;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    blk_remove_bs(d.blk);
    assert_ended_well(p);
    assert_null(blk_bs(d.blk));
    assert_ends(&d, "write@0+4096 os disk os disk");
    debug_close(&d);

    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    blk_remove_all_bs();
    assert_ended_well(p);
    debug_close(&d);

    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    debug_close(&d);
    assert_ended_well(p);
}

static void context_moves_after_the_request(void **state)
{
    AioContext *main_ctx = qemu_get_aio_context(), *ctx = aio_context_new(&error_abort);
    DebugDisk d;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    aio_context_acquire(main_ctx);
    blk_set_aio_context(d.blk, ctx);
    aio_context_release(main_ctx);
    assert_true(p->r.ctx == main_ctx);
    assert_ended_well(p);
    aio_context_acquire(ctx);
    blk_set_aio_context(d.blk, main_ctx);
    aio_context_release(ctx);
    debug_close(&d);
    aio_context_unref(ctx);
}

static bool tray_open;

static bool is_tray_open(void *opaque)
{
    (void)opaque;
    return tray_open;
}

/* Its checks are done. */
static void tray_and_settings_do_not_touch_it(void **state)
{
    static const BlockDevOps ops = { .is_tray_open = is_tray_open };
    DebugDisk d;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    blk_set_allow_write_beyond_eof(d.blk, true);
    blk_attach_dev_nofail(d.blk, &d);
    p = start_long_write(&d);
    blk_detach_dev(d.blk, &d);
    tray_open = true;
    blk_set_dev_ops(d.blk, &ops, NULL);
    blk_eject(d.blk, true);
    blk_lock_medium(d.blk, true);
    blk_set_allow_write_beyond_eof(d.blk, false);
    blk_set_on_error(d.blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_STOP);
    assert_true(monitor_add_blk(d.blk, "disk", &error_abort));
    blk_hide_on_behalf_of_hmp_drive_del(d.blk);
    assert_int_equal(read_at(&d, 0, 512), -ENOMEDIUM);
    blk_drain(d.blk);
    assert_ended_well(p);
    tray_open = false;
    assert_bytes(d.blk, 0, 4096, 9);
    debug_close(&d);
}

static void resize_does_not_wait(void **state)
{
    DebugDisk d;
    Pending *p;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    p = start_long_write(&d);
    assert_int_equal(blk_truncate(d.blk, DISK_SIZE / 2), 0);
    blk_drain(d.blk);
    assert_ended_well(p);
    debug_close(&d);
}

/* ---- many threads, errors between them ---- */

#define THREADS 4
#define ROUNDS 150

static void *read_and_write(void *opaque)
{
    DebugDisk *d = opaque;
    uint8_t buf[700];
    intptr_t errors = 0;

    memset(buf, 0x5a, sizeof(buf));
    for (int i = 0; i < ROUNDS; i++) {
        errors += blk_pwrite(d->blk, 300 + i, buf, sizeof(buf)) == -EIO;
        errors += blk_pread(d->blk, 300 + i, buf, sizeof(buf)) == -EIO;
    }
    return (void *)errors;
}

/* Misaligned, overlapping, with errors: everybody ends, and exactly those fail that should. */
static void threads_fail_and_go_on(void **state)
{
    pthread_t threads[THREADS];
    intptr_t errors = 0;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'after':100,'count':60"));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, &d), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *n;

        assert_int_equal(pthread_join(threads[i], &n), 0);
        errors += (intptr_t)n;
    }
    assert_int_equal(errors, 60);
    debug_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_reaches_every_form),
        cmocka_unit_test(error_of_one_request_is_not_that_of_the_next),
        cmocka_unit_test(multiwrite_has_one_result),
        cmocka_unit_test(block_status_fails),
        cmocka_unit_test(short_transfers_fail),
        cmocka_unit_test(piece_that_fails_is_the_last),
        cmocka_unit_test(failing_read_leaves_all_as_it_was),
        cmocka_unit_test(failing_write_is_the_result_of_the_cycle),
        cmocka_unit_test(failing_end_of_a_zero_write),
        cmocka_unit_test(zeroes_are_written_as_data),
        cmocka_unit_test(only_the_piece_that_cannot_falls_back),
        cmocka_unit_test(data_in_place_of_zeroes_come_in_16_mib),
        cmocka_unit_test(other_errors_of_zero_writes_end_them),
        cmocka_unit_test(discard_that_is_not_supported_succeeds),
        cmocka_unit_test(other_errors_of_discards_end_them),
        cmocka_unit_test(discard_without_permission_reaches_nobody),
        cmocka_unit_test(failed_resize_changes_nothing),
        cmocka_unit_test(resize_tells_the_device),
        cmocka_unit_test(size_that_cannot_be_asked_again_fails_the_resize),
        cmocka_unit_test(overlapping_requests_wait_for_the_cycle),
        cmocka_unit_test(cycle_waits_for_overlapping_requests),
        cmocka_unit_test(cycles_of_one_block_do_not_lose_each_other),
        cmocka_unit_test(plain_requests_do_not_wait),
        cmocka_unit_test(discards_and_zeroes_wait_as_well),
        cmocka_unit_test(drain_waits),
        cmocka_unit_test(drain_waits_for_failing_requests),
        cmocka_unit_test(drain_waits_for_what_callbacks_start),
        cmocka_unit_test(drain_in_a_coroutine_waits),
        cmocka_unit_test(waiting_for_another_thread),
        cmocka_unit_test(medium_goes_after_the_request),
        cmocka_unit_test(context_moves_after_the_request),
        cmocka_unit_test(tray_and_settings_do_not_touch_it),
        cmocka_unit_test(resize_does_not_wait),
        cmocka_unit_test(threads_fail_and_go_on),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
