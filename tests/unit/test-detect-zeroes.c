/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zero detection (§3.13): which writes become zero writes, seen by the lowest driver. */
#include "blkdebug-test.h"

#define OFF BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF
#define ON BLOCKDEV_DETECT_ZEROES_OPTIONS_ON
#define UNMAP BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP

#define NO_UNMAP_FLAG (BDRV_O_RDWR | BDRV_O_CACHE_WB)
#define RULE(text) "'inject-error':[{" text "}]"

static uint8_t zeroes[8192];

/* ---- a driver that has no zero writes ---- */

static int plain_writes;

static int64_t coroutine_fn plain_co_getlength(BlockDriverState *bs)
{
    (void)bs;
    return DISK_SIZE;
}

static int coroutine_fn plain_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         QEMUIOVector *qiov, int flags)
{
    (void)bs;
    (void)offset;
    (void)flags;
    assert_int_equal(qiov->size, bytes);
    plain_writes++;
    return 0;
}

static BlockDriver plain_driver = {
    .format_name = "plain",
    .protocol_name = "plain",
    .bdrv_co_getlength = plain_co_getlength,
    .bdrv_co_pwritev = plain_co_pwritev,
};

BLOCK_DRIVER(plain_driver)

static void open_mode(DebugDisk *d, int flags, BlockdevDetectZeroesOptions mode,
                      const char *options)
{
    debug_open_root(d, "blkdebug", flags, options);
    blk_set_detect_zeroes(d->blk, mode);
}

/* ---- modes ---- */

static void off_is_the_default(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 4096), 4096);
    assert_calls(&d, "write@0+4096");
    debug_close(&d);
    open_mode(&d, WRITE_BACK, OFF, "");
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 4096), 4096);
    assert_calls(&d, "write@0+4096");
    debug_close(&d);
}

static void unmap_needs_the_open_flag(void **state)
{
    static const struct {
        int flags;
        BlockdevDetectZeroesOptions mode;
        const char *calls;
    } cases[] = {
        { WRITE_BACK, ON, "zero@0+4096" },
        { WRITE_BACK, UNMAP, "zero@0+4096:unmap" },
        { NO_UNMAP_FLAG, ON, "zero@0+4096" },
        { NO_UNMAP_FLAG, UNMAP, "zero@0+4096" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        DebugDisk d;

        open_mode(&d, cases[i].flags, cases[i].mode, "");
        assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 4096), 4096);
        assert_calls(&d, cases[i].calls);
        debug_close(&d);
    }
}

static void mode_is_switched_live(void **state)
{
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, "");
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    blk_set_detect_zeroes(d.blk, UNMAP);
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    blk_set_detect_zeroes(d.blk, OFF);
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    assert_calls(&d, "zero@0+512 zero@0+512:unmap write@0+512");
    debug_close(&d);
}

#ifndef UNDER_TSAN
static void set_wrong_mode(void)
{
    blk_set_detect_zeroes(blk_new(NULL), BLOCKDEV_DETECT_ZEROES_OPTIONS__MAX);
}
#endif

static void unknown_mode_is_refused(void **state)
{
    (void)state;
#ifndef UNDER_TSAN
    assert_dies(set_wrong_mode);
#endif
}

/* The space really comes back. */
static void unmap_gives_space_back(void **state)
{
    TestFile file;
    BlockBackend *blk;
    int64_t before;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, WRITE_BACK);
    write_byte(blk, 0, MIB, 1);
    assert_int_equal(blk_flush(blk), 0);
    before = test_file_blocks(&file);
    blk_set_detect_zeroes(blk, UNMAP);
    write_byte(blk, 0, MIB, 0);
    if (test_file_blocks(&file) == before) {
        printf("this file system makes no holes\n");
    } else {
        assert_int_equal(test_file_blocks(&file), 0);
    }
    assert_bytes(blk, 0, MIB, 0);
    blk_unref(blk);
    test_file_remove(&file);
}

/* ---- which writes ---- */

static void one_byte_of_data_is_enough(void **state)
{
    static const int places[] = { 0, 1, 511, 512, 2000, 4095 };
    uint8_t buf[4096] = { 0 };
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, "");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        buf[places[i]] = 1;
        assert_int_equal(blk_pwrite(d.blk, 0, buf, 4096), 4096);
        assert_calls(&d, "write@0+4096");     /* not split into zeroes and data */
        buf[places[i]] = 0;
    }
    assert_int_equal(blk_pwrite(d.blk, 0, buf, 4096), 4096);
    assert_calls(&d, "zero@0+4096");
    debug_close(&d);
}

static int64_t coroutine_fn co_write(void *blk)
{
    Linear l;

    return blk_co_pwritev(blk, 0, 1024, linear(&l, zeroes, 1024), 0);
}

static void every_form_of_write(void **state)
{
    AioResult r[4] = { { 0 } };
    BlockRequest reqs[2];
    Linear l[2];
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, "");
    assert_int_equal(blk_write(d.blk, 0, zeroes, 2), 0);
    blk_aio_writev(d.blk, 0, linear(&l[0], zeroes, 1024), 2, aio_result_cb, &r[0]);
    assert_int_equal(aio_result_wait(&r[0]), 0);
    blk_aio_pwritev(d.blk, 0, &l[0].qiov, 0, aio_result_cb, &r[1]);
    assert_int_equal(aio_result_wait(&r[1]), 0);
    assert_int_equal(co_call(co_write, d.blk), 0);
    assert_calls(&d, "zero@0+1024 zero@0+1024 zero@0+1024 zero@0+1024");
    for (int i = 0; i < 2; i++) {
        reqs[i] = (BlockRequest){ .sector = i, .nb_sectors = 1, .cb = aio_result_cb,
                                  .qiov = linear(&l[i], zeroes, 512), .opaque = &r[2 + i] };
    }
    assert_int_equal(blk_aio_multiwrite(d.blk, reqs, 2), 0);
    assert_int_equal(aio_result_wait(&r[2]), 0);
    assert_calls(&d, "zero@0+1024");
    debug_close(&d);
}

/* All elements count. */
static void vectors_are_looked_through(void **state)
{
    uint8_t parts[3][512] = { { 0 } };
    QEMUIOVector qiov;
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, "");
    qemu_iovec_init(&qiov, 3);
    for (int i = 0; i < 3; i++) {
        qemu_iovec_add(&qiov, parts[i], 512);
    }
    for (int last = 0; last < 2; last++) {
        AioResult r = { 0 };

        parts[2][511] = (uint8_t)last;
        blk_aio_pwritev(d.blk, 0, &qiov, 0, aio_result_cb, &r);
        assert_int_equal(aio_result_wait(&r), 0);
        assert_calls(&d, last ? "write@0+1536" : "zero@0+1536");
    }
    qemu_iovec_destroy(&qiov);
    debug_close(&d);
}

static void misaligned_zeroes_keep_their_neighbours(void **state)
{
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, "'align':4096");
    write_byte(d.blk, 0, 16384, 0x5a);
    debug_forget(&d);
    assert_int_equal(blk_pwrite(d.blk, 4000, zeroes, 8000), 8000);
    assert_calls(&d, "zero@4096+4096 read@0+4096 write@0+4096 read@8192+4096 write@8192+4096");
    assert_bytes(d.blk, 0, 4000, 0x5a);
    assert_bytes(d.blk, 4000, 8000, 0);
    assert_bytes(d.blk, 12000, 4384, 0x5a);
    debug_close(&d);
}

static void driver_without_zero_writes_gets_data(void **state)
{
    BlockBackend *blk = open_options(WRITE_BACK, &error_abort, "'driver':'plain'");

    (void)state;
    plain_writes = 0;
    blk_set_detect_zeroes(blk, UNMAP);
    assert_int_equal(blk_pwrite(blk, 0, zeroes, 4096), 4096);
    assert_int_equal(plain_writes, 1);
    blk_unref(blk);
}

/* ---- as a write in all else ---- */

static void checks_and_errors_are_those_of_a_write(void **state)
{
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_BACK, ON, RULE("'iotype':'write-zeroes','errno':28,'once':true"));
    assert_int_equal(blk_pwrite(d.blk, DISK_SIZE, zeroes, 512), -EIO);
    assert_int_equal(blk_pwrite(d.blk, -1, zeroes, 512), -EIO);
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), -ENOSPC);
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    debug_close(&d);
    open_mode(&d, 0, ON, "");
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), -EPERM);
    debug_close(&d);
    open_mode(&d, WRITE_BACK, ON, RULE("'iotype':'write-zeroes','errno':95"));
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    assert_calls(&d, "zero@0+512 write@0+512");
    debug_close(&d);
}

static void flushes_are_those_of_a_write(void **state)
{
    AioResult r[2] = { { 0 } };
    Linear l;
    DebugDisk d;

    (void)state;
    open_mode(&d, WRITE_THROUGH, ON, "");
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    assert_calls(&d, "zero@0+512 os disk");
    debug_close(&d);
    open_mode(&d, WRITE_BACK, UNMAP, "");
    blk_aio_pwritev(d.blk, 0, linear(&l, zeroes, 512), BDRV_REQ_FUA, aio_result_cb, &r[0]);
    assert_int_equal(aio_result_wait(&r[0]), 0);
    assert_calls(&d, "zero@0+512:unmap os disk");
    debug_close(&d);
    open_mode(&d, WRITE_BACK, UNMAP, "'native-fua':true");
    blk_aio_pwritev(d.blk, 0, &l.qiov, BDRV_REQ_FUA, aio_result_cb, &r[1]);
    assert_int_equal(aio_result_wait(&r[1]), 0);
    assert_calls(&d, "zero@0+512:fua,unmap");
    debug_close(&d);
}

/* ---- which node, which medium ---- */

/* It is a property of the root: raw detects, and the filter below gets the zero write. */
static void root_detects(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    blk_set_detect_zeroes(d.blk, ON);
    assert_int_equal(blk_pwrite(d.blk, 0, zeroes, 512), 512);
    assert_calls(&d, "zero@0+512");
    debug_close(&d);
}

static void empty_drive_remembers_it_for_the_next_medium(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockDriverState *bs;
    DebugDisk d;

    (void)state;
    debug_open_root(&d, "blkdebug", WRITE_BACK, "");
    blk_set_detect_zeroes(blk, UNMAP);
    assert_int_equal(blk_get_root_state(blk)->detect_zeroes, UNMAP);
    bs = blk_bs(d.blk);
    bdrv_ref(bs);
    blk_remove_bs(d.blk);
    blk_apply_root_state(blk, bs);
    blk_insert_bs(blk, bs);
    debug_forget(&d);
    assert_int_equal(blk_pwrite(blk, 0, zeroes, 512), 512);
    assert_calls(&d, "zero@0+512:unmap");

    /* and what the medium had is remembered when it goes */
    blk_set_detect_zeroes(blk, ON);
    blk_remove_bs(blk);
    assert_int_equal(blk_get_root_state(blk)->detect_zeroes, ON);
    bdrv_unref(bs);
    debug_close(&d);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_is_the_default),
        cmocka_unit_test(unmap_needs_the_open_flag),
        cmocka_unit_test(mode_is_switched_live),
        cmocka_unit_test(unknown_mode_is_refused),
        cmocka_unit_test(unmap_gives_space_back),
        cmocka_unit_test(one_byte_of_data_is_enough),
        cmocka_unit_test(every_form_of_write),
        cmocka_unit_test(vectors_are_looked_through),
        cmocka_unit_test(misaligned_zeroes_keep_their_neighbours),
        cmocka_unit_test(driver_without_zero_writes_gets_data),
        cmocka_unit_test(checks_and_errors_are_those_of_a_write),
        cmocka_unit_test(flushes_are_those_of_a_write),
        cmocka_unit_test(root_detects),
        cmocka_unit_test(empty_drive_remembers_it_for_the_next_medium),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
