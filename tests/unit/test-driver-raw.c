/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The raw format: a window on its file. */
#include "driver-test.h"

#define MEMORY_FILE "'driver':'raw','file':{'driver':'memory','size':1048576}"

static void whole_file_is_the_disk(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE);

    (void)state;
    assert_int_equal(blk_getlength(blk), MIB);
    write_byte(blk, 1000, 5000, 0x5a);
    assert_bytes(blk, 0, 1000, 0);
    assert_bytes(blk, 1000, 5000, 0x5a);
    assert_bytes(blk, 6000, 1000, 0);
    assert_int_equal(blk_flush(blk), 0);
    blk_unref(blk);
}

static void window_shifts_and_ends(void **state)
{
    TestFile file;
    BlockBackend *blk;
    uint8_t byte;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_options(RDWR, &error_abort, "'driver':'raw','offset':'1k','size':4096,"
                       "'file':{'driver':'file','filename':'%s'}", file.path);
    assert_int_equal(blk_getlength(blk), 4096);
    write_byte(blk, 0, 4096, 0x77);
    assert_bytes(blk, 0, 4096, 0x77);
    assert_int_equal(pread(file.fd, &byte, 1, 1023), 1);
    assert_int_equal(byte, 0);
    assert_int_equal(pread(file.fd, &byte, 1, 1024), 1);
    assert_int_equal(byte, 0x77);
    assert_int_equal(pread(file.fd, &byte, 1, 5119), 1);
    assert_int_equal(byte, 0x77);
    assert_int_equal(pread(file.fd, &byte, 1, 5120), 1);
    assert_int_equal(byte, 0);
    blk_unref(blk);
    test_file_remove(&file);
}

static void nothing_is_changed_behind_the_window(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE ",'size':'64k'");
    uint8_t buf[512] = { 1 };

    (void)state;
    blk_set_allow_write_beyond_eof(blk, true);
    assert_int_equal(blk_pwrite(blk, 64 * KIB, buf, 512), -ENOSPC);
    assert_int_equal(blk_pwrite_zeroes(blk, 64 * KIB - 512, 1024, 0), -ENOSPC);
    assert_bytes(blk, 64 * KIB, 512, 0);
    blk_unref(blk);
}

static void bad_windows_are_refused(void **state)
{
    (void)state;
    assert_open_fails("must be a multiple of 512", RDWR, MEMORY_FILE ",'size':1000");
    assert_open_fails("must be a multiple of 512", RDWR, MEMORY_FILE ",'offset':1");
    assert_open_fails("The sum of offset (524288) and size (1048576) has to be smaller or equal to "
                      "the actual size of the containing file (1048576)", RDWR,
                      MEMORY_FILE ",'size':'1M','offset':'512k'");
    assert_open_fails("Offset (2097152) cannot be greater", RDWR, MEMORY_FILE ",'offset':'2M'");
    assert_open_fails("'size'", RDWR, MEMORY_FILE ",'size':'many'");
    assert_open_fails("'size'", RDWR, MEMORY_FILE ",'size':-512");
    assert_open_fails("'size'", RDWR, MEMORY_FILE ",'size':'16E'");
}

static void resize_moves_the_end_of_the_file(void **state)
{
    TestFile file;
    BlockBackend *blk;
    struct stat st;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_options(RDWR, &error_abort, "'driver':'raw','offset':4096,"
                       "'file':{'driver':'file','filename':'%s'}", file.path);
    assert_int_equal(blk_truncate(blk, 2 * MIB), 0);
    assert_int_equal(blk_getlength(blk), 2 * MIB);
    assert_int_equal(fstat(file.fd, &st), 0);
    assert_int_equal(st.st_size, 2 * MIB + 4096);
    blk_unref(blk);
    test_file_remove(&file);
}

static void fixed_size_cannot_be_resized(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE ",'size':'64k'");

    (void)state;
    assert_int_equal(blk_truncate(blk, 128 * KIB), -ENOTSUP);
    assert_int_equal(blk_getlength(blk), 64 * KIB);
    blk_unref(blk);
}

static void the_file_decides_what_is_data(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE ",'offset':'128k'");

    (void)state;
    write_byte(blk, 64 * KIB, 64 * KIB, 1);
    assert_status(blk, 0, 64 * KIB, BDRV_BLOCK_ZERO);
    assert_status(blk, 64 * KIB, 64 * KIB, BDRV_BLOCK_DATA);
    assert_status(blk, 128 * KIB, 64 * KIB, BDRV_BLOCK_ZERO);
    assert_int_equal(blk_pdiscard(blk, 64 * KIB, 64 * KIB), 0);
    assert_status(blk, 0, 256 * KIB, BDRV_BLOCK_ZERO);
    blk_unref(blk);
}

static void mapping_is_the_files(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE ",'offset':'64k'");
    BlockMapping map;
    const uint8_t *data;

    (void)state;
    write_byte(blk, 512, 512, 0xab);
    assert_int_equal(map_read(blk, 512, 512, &map), 0);
    data = map.data;
    assert_int_equal(data[0], 0xab);
    assert_int_equal(data[511], 0xab);
    blk_unmap(&map);
    blk_unref(blk);
}

static void device_commands_do_not_pass_a_window(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, MEMORY_FILE ",'offset':'64k'");
    BlockSizes sizes;
    HDGeometry geometry;

    (void)state;
    assert_int_equal(blk_ioctl(blk, 0x2285, NULL), -ENOTSUP);
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), -ENOTSUP);
    assert_int_equal(blk_probe_geometry(blk, &geometry), -ENOTSUP);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file_is_the_disk),
        cmocka_unit_test(window_shifts_and_ends),
        cmocka_unit_test(nothing_is_changed_behind_the_window),
        cmocka_unit_test(bad_windows_are_refused),
        cmocka_unit_test(resize_moves_the_end_of_the_file),
        cmocka_unit_test(fixed_size_cannot_be_resized),
        cmocka_unit_test(the_file_decides_what_is_data),
        cmocka_unit_test(mapping_is_the_files),
        cmocka_unit_test(device_commands_do_not_pass_a_window),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
