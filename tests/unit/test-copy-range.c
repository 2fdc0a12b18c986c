/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies from medium to medium, wiping, and block status without waiting. */
#include "testfmt.h"

static TestImage *in, *out;
static BlockBackend *blk_in, *blk_out;

static void open_both(int out_flags)
{
    in = image_make("in", 8 * CLUSTER, NULL);
    out = image_make("out", 8 * CLUSTER, NULL);
    image_fill(in, 0, 2, 1);
    image_fill(in, 4, 1, 5);
    blk_in = open_image("in", BDRV_O_CACHE_WB);
    blk_out = open_image("out", out_flags);
    events_clear();
}

static void close_both(void)
{
    blk_unref(blk_in);
    blk_unref(blk_out);
}

typedef struct Copy {
    BlockBackend *from, *to;
    int64_t off_in, off_out, bytes;
    int flags;
    int ret;
} Copy;

static void coroutine_fn do_copy(void *opaque)
{
    Copy *c = opaque;

    c->ret = blk_co_copy_range(c->from, c->off_in, c->to, c->off_out, c->bytes,
                               (BdrvRequestFlags)c->flags);
}

static int copy_range(int64_t off_in, int64_t off_out, int64_t bytes, int flags)
{
    Copy c = { blk_in, blk_out, off_in, off_out, bytes, flags, 1 };

    in_coroutine(do_copy, &c);
    return c.ret;
}

static void data_and_zeroes_arrive(void **state)
{
    (void)state;
    open_both(RW);
    image_fill(out, 0, 8, 9);
    assert_int_equal(copy_range(0, CLUSTER, 6 * CLUSTER, 0), 0);
    assert_read(blk_out, 0, CLUSTER, 9);
    assert_read(blk_out, CLUSTER, 2 * CLUSTER, 1);
    assert_read(blk_out, 3 * CLUSTER, 2 * CLUSTER, 0);
    assert_read(blk_out, 5 * CLUSTER, CLUSTER, 5);
    assert_read(blk_out, 7 * CLUSTER, CLUSTER, 9);
    assert_map(out, "DDD00D0D");
    close_both();
}

static void any_alignment_will_do(void **state)
{
    (void)state;
    open_both(RW);
    image_fill(out, 0, 8, 9);
    assert_int_equal(copy_range(100, CLUSTER + 7, 1000, 0), 0);
    assert_read(blk_out, CLUSTER + 6, 1, 9);
    assert_read(blk_out, CLUSTER + 7, 1000, 1);
    assert_read(blk_out, CLUSTER + 1007, 100, 9);
    close_both();
}

static void ranges_are_checked_on_both_sides(void **state)
{
    BlockBackend *empty = blk_new(NULL);
    Copy c = { .bytes = 512 };

    (void)state;
    open_both(RW);
    assert_int_equal(copy_range(8 * CLUSTER, 0, 512, 0), -EIO);
    assert_int_equal(copy_range(0, 8 * CLUSTER, 512, 0), -EIO);
    assert_int_equal(copy_range(-1, 0, 512, 0), -EIO);
    assert_int_equal(copy_range(0, 0, -1, 0), -EIO);
    assert_int_equal(copy_range(0, 0, 512, BDRV_REQ_MAY_UNMAP), -EINVAL);
    assert_int_equal(copy_range(0, 0, 0, 0), 0);
    c.from = empty;
    c.to = blk_out;
    in_coroutine(do_copy, &c);
    assert_int_equal(c.ret, -ENOMEDIUM);
    c.from = blk_in;
    c.to = empty;
    in_coroutine(do_copy, &c);
    assert_int_equal(c.ret, -ENOMEDIUM);
    c.from = blk_out;
    c.to = blk_in;      /* read-only */
    in_coroutine(do_copy, &c);
    assert_int_equal(c.ret, -EPERM);
    assert_events("");
    close_both();
    blk_unref(empty);
}

static void within_one_medium_it_must_not_overlap(void **state)
{
    Copy c = { .bytes = CLUSTER, .off_in = 0, .off_out = CLUSTER - 512 };

    (void)state;
    open_both(RW);
    image_fill(out, 0, 1, 7);
    c.from = c.to = blk_out;
    in_coroutine(do_copy, &c);
    assert_int_equal(c.ret, -EINVAL);
    c.off_out = CLUSTER;
    in_coroutine(do_copy, &c);
    assert_int_equal(c.ret, 0);
    assert_read(blk_out, CLUSTER, CLUSTER, 7);
    close_both();
}

static void errors_of_either_end_it(void **state)
{
    (void)state;
    open_both(RW);
    in->read_error = -EBADMSG;
    assert_int_equal(copy_range(0, 0, CLUSTER, 0), -EBADMSG);
    in->read_error = 0;
    in->status_error = -EILSEQ;
    assert_int_equal(copy_range(0, 0, CLUSTER, 0), -EILSEQ);
    in->status_error = 0;
    out->write_error = -ENOSPC;
    assert_int_equal(copy_range(0, 0, CLUSTER, 0), -ENOSPC);
    close_both();
}

static void fua_and_write_through_make_it_stable(void **state)
{
    (void)state;
    open_both(RW);
    assert_int_equal(copy_range(0, 0, CLUSTER, BDRV_REQ_FUA), 0);
    assert_events("in read 0 4096\nout write 0 4096\nout flush\n");
    blk_set_enable_write_cache(blk_out, false);
    events_clear();
    assert_int_equal(copy_range(2 * CLUSTER, 0, CLUSTER, 0), 0);
    assert_events("out zero 0 4096\nout flush\n");
    close_both();
}

static void the_asynchronous_form_does_the_same(void **state)
{
    AioResult result = { 0 };

    (void)state;
    open_both(RW);
    blk_aio_copy_range(blk_in, 0, blk_out, CLUSTER, CLUSTER, 0, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_read(blk_out, CLUSTER, CLUSTER, 1);
    result.calls = 0;
    blk_aio_copy_range(blk_in, 0, blk_out, 8 * CLUSTER, CLUSTER, 0, aio_result_cb, &result);
    assert_int_equal(aio_result_wait(&result), -EIO);
    close_both();
}

/* Who drains both, one after the other, must not wait for a copy that waits for him. */
static void drained_sections_of_both_hold_it(void **state)
{
    AioResult result = { 0 };

    (void)state;
    open_both(RW);
    blk_drained_begin(blk_in);
    blk_aio_copy_range(blk_in, 0, blk_out, CLUSTER, CLUSTER, 0, aio_result_cb, &result);
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
    assert_int_equal(result.calls, 0);
    blk_drained_begin(blk_out);
    blk_drained_end(blk_in);
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
    assert_int_equal(result.calls, 0);
    blk_drained_end(blk_out);
    assert_int_equal(aio_result_wait(&result), 0);
    assert_read(blk_out, CLUSTER, CLUSTER, 1);
    close_both();
}

/* ---- wiping ---- */

static void make_zero_writes_what_is_not_zero(void **state)
{
    (void)state;
    open_both(RW);
    image_fill(out, 1, 2, 3);
    out->map[5] = ZERO;
    image_fill(out, 7, 1, 3);
    assert_int_equal(blk_make_zero(blk_out, 0), 0);
    assert_events("out zero 4096 8192\nout zero 28672 4096\n");
    assert_read(blk_out, 0, 8 * CLUSTER, 0);
    image_fill(out, 0, 1, 3);
    out->write_error = -ENOSPC;
    assert_int_equal(blk_make_zero(blk_out, 0), -ENOSPC);
    out->write_error = 0;
    assert_int_equal(blk_make_zero(blk_out, BDRV_REQ_FUA), 0);
    assert_int_equal(blk_make_zero(blk_in, 0), -EPERM);
    close_both();
}

static void make_zero_without_a_medium(void **state)
{
    BlockBackend *blk = blk_new(NULL);

    (void)state;
    assert_int_equal(blk_make_zero(blk, 0), -ENOMEDIUM);
    blk_unref(blk);
}

/* ---- block status ---- */

static void block_status_comes_through_the_callback(void **state)
{
    AioResult result = { 0 };
    int64_t n = -1;

    (void)state;
    open_both(RW);
    blk_aio_block_status(blk_in, 0, 8 * CLUSTER, &n, aio_result_cb, &result);
    assert_int_equal(result.calls, 0);
    assert_int_equal(aio_result_wait(&result), BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED);
    assert_int_equal(n, 2 * CLUSTER);
    result.calls = 0;
    blk_aio_block_status(blk_in, 9 * CLUSTER, 1, &n, aio_result_cb, &result);
    assert_int_equal(aio_result_wait(&result), -EIO);
    close_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(data_and_zeroes_arrive),
        IMAGE_TEST(any_alignment_will_do),
        IMAGE_TEST(ranges_are_checked_on_both_sides),
        IMAGE_TEST(within_one_medium_it_must_not_overlap),
        IMAGE_TEST(errors_of_either_end_it),
        IMAGE_TEST(fua_and_write_through_make_it_stable),
        IMAGE_TEST(the_asynchronous_form_does_the_same),
        IMAGE_TEST(drained_sections_of_both_hold_it),
        IMAGE_TEST(make_zero_writes_what_is_not_zero),
        IMAGE_TEST(make_zero_without_a_medium),
        IMAGE_TEST(block_status_comes_through_the_callback),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
