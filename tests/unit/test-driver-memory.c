/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory disk. */
#include "driver-test.h"

static BlockBackend *open_memory(const char *size)
{
    return open_options(RDWR, &error_abort, "'driver':'memory','size':'%s'", size);
}

static void starts_as_zeroes_and_keeps_data(void **state)
{
    BlockBackend *blk = open_memory("4M");

    (void)state;
    assert_bytes(blk, 0, 4 * MIB, 0);
    write_byte(blk, 65000, 3000, 0x42);
    assert_bytes(blk, 64000, 1000, 0);
    assert_bytes(blk, 65000, 3000, 0x42);
    assert_bytes(blk, 68000, 1000, 0);
    blk_unref(blk);
}

static void a_terabyte_costs_nothing(void **state)
{
    BlockBackend *blk = open_memory("1T");
    int64_t n;

    (void)state;
    write_byte(blk, (1LL << 40) - 512, 512, 9);
    assert_bytes(blk, (1LL << 40) - 512, 512, 9);
    assert_int_equal(blk_block_status(blk, 0, 1 << 30, &n) & BDRV_BLOCK_ZERO, BDRV_BLOCK_ZERO);
    assert_int_equal(n, 1 << 30);
    blk_unref(blk);
}

static void status_follows_writes_and_discards(void **state)
{
    BlockBackend *blk = open_memory("1M");

    (void)state;
    assert_status(blk, 0, MIB, BDRV_BLOCK_ZERO);
    write_byte(blk, 128 * KIB, 256 * KIB, 1);
    assert_status(blk, 0, 128 * KIB, BDRV_BLOCK_ZERO);
    assert_status(blk, 128 * KIB, 256 * KIB, BDRV_BLOCK_DATA);
    assert_status(blk, 384 * KIB, 640 * KIB, BDRV_BLOCK_ZERO);
    assert_int_equal(blk_pdiscard(blk, 192 * KIB, 64 * KIB), 0);
    assert_status(blk, 192 * KIB, 64 * KIB, BDRV_BLOCK_ZERO);
    assert_bytes(blk, 192 * KIB, 64 * KIB, 0);
    assert_bytes(blk, 128 * KIB, 64 * KIB, 1);
    assert_bytes(blk, 256 * KIB, 128 * KIB, 1);
    blk_unref(blk);
}

static void zero_write_hits_exactly_its_bytes(void **state)
{
    static const int flags[] = { 0, BDRV_REQ_MAY_UNMAP, BDRV_REQ_FUA };

    (void)state;
    for (int i = 0; i < 3; i++) {
        BlockBackend *blk = open_memory("1M");

        write_byte(blk, 0, MIB, 7);
        assert_int_equal(blk_pwrite_zeroes(blk, 1000, 300000, flags[i]), 0);
        assert_bytes(blk, 0, 1000, 7);
        assert_bytes(blk, 1000, 300000, 0);
        assert_bytes(blk, 301000, 1000, 7);
        blk_unref(blk);
    }
}

static void resize_keeps_the_data(void **state)
{
    BlockBackend *blk = open_memory("64k");

    (void)state;
    write_byte(blk, 0, 64 * KIB, 3);
    assert_int_equal(blk_truncate(blk, 10 * MIB), 0);
    assert_int_equal(blk_getlength(blk), 10 * MIB);
    assert_bytes(blk, 0, 64 * KIB, 3);
    assert_bytes(blk, 64 * KIB, MIB, 0);
    write_byte(blk, 10 * MIB - 512, 512, 4);
    assert_int_equal(blk_truncate(blk, 512), 0);
    assert_int_equal(blk_truncate(blk, 64 * KIB), 0);
    assert_bytes(blk, 0, 512, 3);
    assert_bytes(blk, 512, 63 * KIB, 0);
    blk_unref(blk);
}

static void mapping_outlives_the_disk(void **state)
{
    BlockBackend *blk = open_memory("64k");
    BlockMapping before, after;

    (void)state;
    write_byte(blk, 0, 64 * KIB, 0x5c);
    assert_int_equal(map_read(blk, 512, 1024, &before), 0);
    assert_true(before.stable);
    assert_int_equal(blk_truncate(blk, MIB), 0);
    assert_int_equal(map_read(blk, 512, 1024, &after), 0);
    assert_int_equal(map_read(blk, MIB, 512, &(BlockMapping){ 0 }), -EIO);
    blk_unref(blk);
    assert_memory_equal(before.data, after.data, 1024);
    assert_int_equal(*(const uint8_t *)before.data, 0x5c);
    blk_unmap(&before);
    blk_unmap(&after);
}

static bool zeroed;

static void coroutine_fn zero_co(void *opaque)
{
    assert_int_equal(blk_co_pwrite_zeroes(opaque, 0, 64 * MIB, 0), 0);
    zeroed = true;
}

/* Filling so much memory takes a while, in which the loop has others to serve. */
static void a_large_zero_write_leaves_the_loop_free(void **state)
{
    BlockBackend *blk = open_memory("64M");

    (void)state;
    zeroed = false;
    qemu_coroutine_enter(qemu_coroutine_create(zero_co), blk);
    assert_false(zeroed);
    while (!zeroed) {
        main_loop_wait(false);
    }
    assert_bytes(blk, 63 * MIB, MIB, 0);
    blk_unref(blk);
}

static void size_is_needed(void **state)
{
    (void)state;
    assert_open_fails("'size' is missing", 0, "'driver':'memory'");
    assert_open_fails("'size'", 0, "'driver':'memory','size':'1.5X'");
    assert_open_fails("too large", 0, "'driver':'memory','size':'4E'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_as_zeroes_and_keeps_data),
        cmocka_unit_test(a_terabyte_costs_nothing),
        cmocka_unit_test(status_follows_writes_and_discards),
        cmocka_unit_test(zero_write_hits_exactly_its_bytes),
        cmocka_unit_test(resize_keeps_the_data),
        cmocka_unit_test(mapping_outlives_the_disk),
        cmocka_unit_test(a_large_zero_write_leaves_the_loop_free),
        cmocka_unit_test(size_is_needed),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
