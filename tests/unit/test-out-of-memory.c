/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D36: no memory for data is an error of the request; none for small objects ends the process. */
#include <malloc.h>

#include "blkdebug-test.h"

static bool none_left;

/* In place of the C library's: all buffers for data come from here. */
int posix_memalign(void **ptr, size_t alignment, size_t size)
{
    void *mem = none_left ? NULL : memalign(alignment, size);

    if (!mem) {
        return ENOMEM;
    }
    *ptr = mem;
    return 0;
}

static uint8_t buf[64 * KIB] __attribute__((aligned(4096)));

static int give_back(void **state)
{
    (void)state;
    none_left = false;
    return 0;
}

/* Each request, while there is none and then again. */
#define ASSERT_NEEDS_MEMORY(call, result)               \
    do {                                                \
        none_left = true;                               \
        assert_int_equal((call), -ENOMEM);              \
        none_left = false;                              \
        assert_int_equal((call), (result));             \
    } while (0)

static void misaligned_requests_need_it(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    write_byte(d.blk, 0, 64 * KIB, 7);
    debug_forget(&d);
    memset(buf, 9, sizeof(buf));
    none_left = true;
    assert_int_equal(blk_pread(d.blk, 100, buf, 1000), -ENOMEM);
    assert_int_equal(blk_pwrite(d.blk, 100, buf, 1000), -ENOMEM);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 100, 1000, 0), -ENOMEM);
    none_left = false;
    assert_calls(&d, "");
    assert_bytes(d.blk, 0, 8192, 7);
    ASSERT_NEEDS_MEMORY(blk_pread(d.blk, 100, buf, 1000), 1000);
    ASSERT_NEEDS_MEMORY(blk_pwrite(d.blk, 100, buf, 1000), 1000);
    ASSERT_NEEDS_MEMORY(blk_pwrite_zeroes(d.blk, 100, 1000, 0), 0);
    debug_close(&d);
}

static int aio_read_misaligned(BlockBackend *blk)
{
    AioResult r = { 0 };
    Linear l;

    blk_aio_preadv(blk, 100, linear(&l, buf, 1000), 0, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static void callbacks_are_told(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    ASSERT_NEEDS_MEMORY(aio_read_misaligned(d.blk), 0);
    debug_close(&d);
}

static int copy_within(BlockBackend *blk)
{
    AioResult r = { 0 };

    blk_aio_copy_range(blk, 0, blk, 64 * KIB, 64 * KIB, 0, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static void copies_need_it(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    write_byte(d.blk, 0, 64 * KIB, 7);
    ASSERT_NEEDS_MEMORY(copy_within(d.blk), 0);
    debug_close(&d);
}

static void aligned_requests_need_none(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096");
    none_left = true;
    assert_int_equal(blk_read(d.blk, 8, buf, 8), 0);
    assert_int_equal(blk_write(d.blk, 8, buf, 8), 0);
    assert_int_equal(blk_write_zeroes(d.blk, 8, 8, 0), 0);
    assert_int_equal(blk_flush(d.blk), 0);
    assert_null(blk_try_blockalign(d.blk, 512));
    none_left = false;
    debug_close(&d);
}

static void insist_on_a_buffer(void)
{
    none_left = true;
    blk_blockalign(NULL, 512);
}

static void make_a_node(void)
{
    none_left = true;
    blk_new_with_bs(NULL);
}

static void who_cannot_be_told_is_ended(void **state)
{
    void (*const cases[])(void) = { insist_on_a_buffer, make_a_node };

    (void)state;
#ifndef UNDER_TSAN      /* it does not take forks */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = status_of_child(cases[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
#else
    (void)cases;
#endif
}

#define MEMORY_TEST(fn) cmocka_unit_test_setup(fn, give_back)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(misaligned_requests_need_it),
        MEMORY_TEST(callbacks_are_told),
        MEMORY_TEST(copies_need_it),
        MEMORY_TEST(aligned_requests_need_none),
        MEMORY_TEST(who_cannot_be_told_is_ended),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
