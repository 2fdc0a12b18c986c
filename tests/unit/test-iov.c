/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vectors, zero detection and aligned memory. */
#include <string.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/iov.h>

#include "unit.h"

/* "abc", "", "defgh", "i" */
static char text[9];
static struct iovec pieces[4];
static QEMUIOVector vector;

static int setup(void **state)
{
    (void)state;
    memcpy(text, "abcdefghi", 9);
    pieces[0] = (struct iovec){ text, 3 };
    pieces[1] = (struct iovec){ text + 3, 0 };
    pieces[2] = (struct iovec){ text + 3, 5 };
    pieces[3] = (struct iovec){ text + 8, 1 };
    qemu_iovec_init_external(&vector, pieces, 4);
    return 0;
}

static void external_array_is_borrowed(void **state)
{
    (void)state;
    assert_int_equal(vector.nalloc, -1);
    assert_int_equal(vector.niov, 4);
    assert_int_equal(vector.size, 9);
    qemu_iovec_destroy(&vector);
    assert_ptr_equal(pieces[0].iov_base, text);
}

static void add_grows(void **state)
{
    QEMUIOVector qiov;

    (void)state;
    for (int hint = 0; hint < 3; hint++) {
        qemu_iovec_init(&qiov, hint);
        for (int i = 0; i < 9; i++) {
            qemu_iovec_add(&qiov, text + i, 1);
        }
        assert_int_equal(qiov.niov, 9);
        assert_int_equal(qiov.size, 9);
        assert_ptr_equal(qiov.iov[8].iov_base, text + 8);
        qemu_iovec_destroy(&qiov);
        assert_int_equal(qiov.size, 0);
    }
}

static void reset_keeps_the_capacity(void **state)
{
    QEMUIOVector qiov;
    struct iovec *array;

    (void)state;
    qemu_iovec_init(&qiov, 2);
    array = qiov.iov;
    qemu_iovec_add(&qiov, text, 9);
    qemu_iovec_reset(&qiov);
    assert_int_equal(qiov.niov, 0);
    assert_int_equal(qiov.size, 0);
    assert_int_equal(qiov.nalloc, 2);
    qemu_iovec_add(&qiov, text, 4);
    assert_ptr_equal(qiov.iov, array);
    qemu_iovec_destroy(&qiov);
}

/* All offsets and lengths, also beyond the end. */
static void to_buf_and_from_buf_move_any_range(void **state)
{
    const char *original = "abcdefghi";

    for (size_t offset = 0; offset <= 10; offset++) {
        for (size_t bytes = 0; bytes <= 11; bytes++) {
            size_t there = offset > 9 ? 0 : 9 - offset;
            size_t expected = bytes < there ? bytes : there;
            char buf[16] = "...............";

            assert_int_equal(qemu_iovec_to_buf(&vector, offset, buf, bytes), expected);
            assert_memory_equal(buf, expected ? original + offset : buf, expected);
            assert_int_equal(buf[expected], '.');

            memset(buf, 'X', sizeof(buf));
            assert_int_equal(qemu_iovec_from_buf(&vector, offset, buf, bytes), expected);
            for (size_t i = 0; i < 9; i++) {
                bool inside = i >= offset && i < offset + bytes;

                assert_int_equal(text[i], inside ? 'X' : original[i]);
            }
            setup(state);
        }
    }
}

static void memset_fills_a_range(void **state)
{
    (void)state;
    assert_int_equal(qemu_iovec_memset(&vector, 2, '-', 6), 6);
    assert_memory_equal(text, "ab------i", 9);
    assert_int_equal(qemu_iovec_memset(&vector, 8, '+', 6), 1);
    assert_memory_equal(text, "ab------+", 9);
    assert_int_equal(qemu_iovec_memset(&vector, SIZE_MAX, '?', SIZE_MAX), 0);
}

static void concat_shares_any_range(void **state)
{
    (void)state;
    for (size_t offset = 0; offset <= 9; offset++) {
        for (size_t bytes = 0; bytes <= 11; bytes++) {
            size_t expected = bytes < 9 - offset ? bytes : 9 - offset;
            QEMUIOVector qiov;
            char buf[9];

            qemu_iovec_init(&qiov, 0);
            qemu_iovec_add(&qiov, text, 1);
            qemu_iovec_concat(&qiov, &vector, offset, bytes);
            assert_int_equal(qiov.size, 1 + expected);
            assert_int_equal(qemu_iovec_to_buf(&qiov, 1, buf, expected), expected);
            assert_memory_equal(buf, text + offset, expected);
            qemu_iovec_destroy(&qiov);
        }
    }
}

static void concat_to_itself(void **state)
{
    QEMUIOVector qiov;
    char buf[6];

    (void)state;
    qemu_iovec_init(&qiov, 1);
    qemu_iovec_add(&qiov, text, 2);
    qemu_iovec_add(&qiov, text + 2, 1);
    qemu_iovec_concat(&qiov, &qiov, 0, qiov.size);
    assert_int_equal(qemu_iovec_to_buf(&qiov, 0, buf, 6), 6);
    assert_memory_equal(buf, "abcabc", 6);
    qemu_iovec_destroy(&qiov);
}

static void vector_of_zeroes_is_zero(void **state)
{
    QEMUIOVector empty;

    (void)state;
    assert_false(qemu_iovec_is_zero(&vector));
    memset(text, 0, sizeof(text));
    assert_true(qemu_iovec_is_zero(&vector));
    text[8] = 1;
    assert_false(qemu_iovec_is_zero(&vector));
    qemu_iovec_init(&empty, 0);
    assert_true(qemu_iovec_is_zero(&empty));
    qemu_iovec_destroy(&empty);
}

/* Every length, alignment and position of the one byte that is not zero; and
 * bytes just outside do not count. */
static void one_byte_anywhere_is_found(void **state)
{
    enum { LONGEST = 70 };
    char buf[LONGEST + 24];

    (void)state;
    for (size_t start = 1; start < 17; start++) {
        for (size_t len = 0; len <= LONGEST; len++) {
            memset(buf, 0, sizeof(buf));
            buf[start - 1] = buf[start + len] = 1;
            assert_true(buffer_is_zero(buf + start, len));
            for (size_t i = 0; i < len; i++) {
                buf[start + i] = (char)0x80;
                assert_false(buffer_is_zero(buf + start, len));
                buf[start + i] = 0;
            }
        }
    }
}

static void large_buffers_are_searched_to_the_end(void **state)
{
    size_t len = (1 << 20) + 3;
    char *buf = calloc(1, len);

    (void)state;
    assert_true(buffer_is_zero(buf, len));
    for (size_t i = 0; i < len; i += 65521) {
        buf[i] = 1;
        assert_false(buffer_is_zero(buf, len));
        buf[i] = 0;
    }
    free(buf);
}

static void memory_is_aligned(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (size_t size = 0; size <= 4097; size += 4097) {
            char *ptr = qemu_try_memalign(alignment, size);

            assert_non_null(ptr);
            assert_int_equal((uintptr_t)ptr % alignment, 0);
            memset(ptr, 1, size);
            qemu_vfree(ptr);
        }
    }
    qemu_vfree(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(external_array_is_borrowed, setup),
        cmocka_unit_test_setup(add_grows, setup),
        cmocka_unit_test_setup(reset_keeps_the_capacity, setup),
        cmocka_unit_test_setup(to_buf_and_from_buf_move_any_range, setup),
        cmocka_unit_test_setup(memset_fills_a_range, setup),
        cmocka_unit_test_setup(concat_shares_any_range, setup),
        cmocka_unit_test_setup(concat_to_itself, setup),
        cmocka_unit_test_setup(vector_of_zeroes_is_zero, setup),
        cmocka_unit_test(one_byte_anywhere_is_found),
        cmocka_unit_test(large_buffers_are_searched_to_the_end),
        cmocka_unit_test(memory_is_aligned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
