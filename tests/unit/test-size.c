/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F36 to F38 at the ends of what a size can be. */
#include "unit.h"

#include <errno.h>

#include <blkbackend/block-backend.h>

static int64_t size;
static bool sg;
static int asked;

static int sized_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    (void)options;
    (void)flags;
    (void)errp;
    bdrv_set_sg(bs, sg);
    return 0;
}

static int64_t coroutine_fn sized_getlength(BlockDriverState *bs)
{
    (void)bs;
    asked++;
    return size;
}

static BlockDriver sized_driver = {
    .format_name = "sized",
    .protocol_name = "sized",
    .bdrv_open = sized_open,
    .bdrv_co_getlength = sized_getlength,
    .has_variable_length = true,
};

BLOCK_DRIVER(sized_driver)

static int setup(void **state)
{
    (void)state;
    return qemu_init_main_loop(NULL);
}

static BlockBackend *open_sized(int64_t bytes)
{
    QDict *options = qdict_new();

    size = bytes;
    qdict_put(options, "driver", qstring_from_str("sized"));
    return blk_new_open(NULL, NULL, options, 0, &error_abort);
}

static void assert_size(BlockBackend *blk, int64_t length)
{
    uint64_t sectors = 77;

    assert_int_equal(blk_getlength(blk), length);
    assert_int_equal(blk_nb_sectors(blk), length < 0 ? length : length / 512);
    blk_get_geometry(blk, &sectors);
    assert_int_equal(sectors, length < 0 ? 0 : length / 512);
}

static void it_is_rounded_up_to_a_sector(void **state)
{
    BlockBackend *blk = open_sized(0);

    (void)state;
    assert_size(blk, 0);
    for (int i = 1; i <= 512; i++) {
        size = i;
        assert_size(blk, 512);
    }
    size = 513;
    assert_size(blk, 1024);
    size = INT64_C(1) << 62;
    assert_size(blk, INT64_C(1) << 62);
    blk_unref(blk);
}

static void one_that_is_no_number_of_bytes_is_efbig(void **state)
{
    BlockBackend *blk = open_sized(512);

    (void)state;
    size = INT64_MAX;
    assert_size(blk, -EFBIG);
    size = INT64_MAX - 510;
    assert_size(blk, -EFBIG);
    size = -ENXIO;
    assert_size(blk, -ENXIO);
    size = 512;
    assert_size(blk, 512);
    blk_unref(blk);
}

static void that_of_a_scsi_generic_device_is_0_unasked(void **state)
{
    BlockBackend *blk;

    (void)state;
    sg = true;
    blk = open_sized(4096);
    asked = 0;
    assert_size(blk, 0);
    assert_int_equal(asked, 0);
    sg = false;
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_rounded_up_to_a_sector),
        cmocka_unit_test(one_that_is_no_number_of_bytes_is_efbig),
        cmocka_unit_test(that_of_a_scsi_generic_device_is_0_unasked),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
