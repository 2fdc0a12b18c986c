/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block devices: a loop device, where this process may make one. */
#include "driver-test.h"

#include <linux/loop.h>
#include <sys/ioctl.h>

typedef struct LoopDevice {
    TestFile file;
    char path[32];
    int fd;
} LoopDevice;

static void loop_make(LoopDevice *loop, off_t size, uint32_t block_size)
{
    struct loop_config config = { .block_size = block_size };
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

    if (control >= 0) {
        close(control);
    }
    test_file_make(&loop->file, ON_DISK, size);
    snprintf(loop->path, sizeof(loop->path), "/dev/loop%d", number);
    loop->fd = number < 0 ? -1 : open(loop->path, O_RDWR | O_CLOEXEC);
    config.fd = (uint32_t)loop->file.fd;
    if (loop->fd < 0 || ioctl(loop->fd, LOOP_CONFIGURE, &config) < 0) {
        printf("no loop devices here\n");
        test_file_remove(&loop->file);
        skip();
    }
}

static void loop_remove(LoopDevice *loop)
{
    assert_int_equal(ioctl(loop->fd, LOOP_CLR_FD), 0);
    close(loop->fd);
    test_file_remove(&loop->file);
}

static BlockBackend *open_device(LoopDevice *loop, int flags)
{
    return open_options(flags, &error_abort, "'driver':'host_device','filename':'%s'", loop->path);
}

static void data_reaches_the_device(void **state)
{
    static const int flags[] = { RDWR, RDWR | BDRV_O_NOCACHE };
    LoopDevice loop;
    BlockBackend *blk;

    (void)state;
    for (int i = 0; i < 2; i++) {
        loop_make(&loop, 4 * MIB, 512);
        blk = open_device(&loop, flags[i]);
        assert_int_equal(blk_getlength(blk), 4 * MIB);
        write_byte(blk, 1001, 100000, 0x21);
        assert_int_equal(blk_flush(blk), 0);
        assert_bytes(blk, 0, 1001, 0);
        assert_bytes(blk, 1001, 100000, 0x21);
        assert_bytes(blk, 101001, 1000, 0);
        assert_status(blk, 0, 4 * MIB, BDRV_BLOCK_DATA);
        blk_unref(blk);
        loop_remove(&loop);
    }
}

static void zeroes_and_discards(void **state)
{
    static const int flags[] = { 0, BDRV_REQ_MAY_UNMAP, BDRV_REQ_FUA };
    LoopDevice loop;
    BlockBackend *blk;

    (void)state;
    loop_make(&loop, 4 * MIB, 512);
    blk = open_device(&loop, RDWR);
    for (int i = 0; i < 3; i++) {
        write_byte(blk, 0, MIB, 1);
        assert_int_equal(blk_pwrite_zeroes(blk, 1000, 300000, flags[i]), 0);
        assert_bytes(blk, 0, 1000, 1);
        assert_bytes(blk, 1000, 300000, 0);
        assert_bytes(blk, 301000, 1000, 1);
    }
    assert_int_equal(blk_pdiscard(blk, 512 * KIB, 256 * KIB), 0);
    assert_bytes(blk, 511 * KIB, KIB, 1);
    assert_bytes(blk, 768 * KIB, KIB, 1);
    blk_unref(blk);
    loop_remove(&loop);
}

static void large_blocks_are_kept(void **state)
{
    LoopDevice loop;
    BlockBackend *blk;
    BlockSizes sizes;

    (void)state;
    loop_make(&loop, 4 * MIB, 4096);
    blk = open_device(&loop, RDWR | BDRV_O_NOCACHE);
    assert_int_equal(blk_get_request_alignment(blk), 4096);
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), 0);
    assert_int_equal(sizes.log, 4096);
    write_byte(blk, 512, 512, 3);
    assert_bytes(blk, 0, 512, 0);
    assert_bytes(blk, 512, 512, 3);
    assert_bytes(blk, 1024, 3072, 0);
    assert_int_equal(blk_pwrite_zeroes(blk, 600, 100, 0), 0);
    assert_bytes(blk, 512, 88, 3);
    assert_bytes(blk, 600, 100, 0);
    assert_bytes(blk, 700, 324, 3);
    blk_unref(blk);
    loop_remove(&loop);
}

static void a_window_off_the_blocks_works(void **state)
{
    LoopDevice loop;
    BlockBackend *blk;
    BlockSizes sizes;

    (void)state;
    loop_make(&loop, 4 * MIB, 4096);
    blk = open_options(RDWR | BDRV_O_NOCACHE, &error_abort, "'driver':'raw','offset':512,"
                       "'file':{'driver':'host_device','filename':'%s'}", loop.path);
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), -ENOTSUP);
    write_byte(blk, 0, 10000, 3);
    assert_bytes(blk, 0, 10000, 3);
    assert_int_equal(blk_pwrite_zeroes(blk, 4096, 4096, 0), 0);
    assert_bytes(blk, 0, 4096, 3);
    assert_bytes(blk, 4096, 4096, 0);
    assert_bytes(blk, 8192, 1808, 3);
    blk_unref(blk);
    loop_remove(&loop);
}

static void a_device_does_not_grow(void **state)
{
    LoopDevice loop;
    BlockBackend *blk;
    uint8_t buf[512] = { 1 };

    (void)state;
    loop_make(&loop, 4 * MIB, 512);
    blk = open_device(&loop, RDWR);
    assert_int_equal(blk_truncate(blk, 8 * MIB), -EINVAL);
    assert_int_equal(blk_truncate(blk, 2 * MIB), 0);
    assert_int_equal(blk_getlength(blk), 4 * MIB);
    blk_set_allow_write_beyond_eof(blk, true);
    assert_int_equal(blk_pwrite(blk, 4 * MIB, buf, 512), -ENOSPC);
    blk_unref(blk);
    loop_remove(&loop);
}

static void the_name_finds_the_driver(void **state)
{
    LoopDevice loop;
    BlockBackend *blk;
    int version;

    (void)state;
    loop_make(&loop, 4 * MIB, 512);
    blk = blk_new_open(loop.path, NULL, NULL, BDRV_O_PROTOCOL, &error_abort);
    assert_string_equal(bdrv_get_format_name(blk_bs(blk)), "host_device");
    assert_false(blk_is_sg(blk));
    assert_true(blk_ioctl(blk, 0x2282 /* SG_GET_VERSION_NUM */, &version) < 0);
    blk_unref(blk);
    assert_open_fails("is a block device", 0, "'driver':'file','filename':'%s'", loop.path);
    loop_remove(&loop);
}

static void devices_are_locked_too(void **state)
{
    LoopDevice loop;
    BlockBackend *blk;

    (void)state;
    loop_make(&loop, 4 * MIB, 512);
    blk = open_device(&loop, RDWR);
    assert_open_fails("Failed to get \"write\" lock", RDWR,
                      "'driver':'host_device','filename':'%s'", loop.path);
    blk_unref(blk);
    loop_remove(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_reaches_the_device),
        cmocka_unit_test(zeroes_and_discards),
        cmocka_unit_test(large_blocks_are_kept),
        cmocka_unit_test(a_window_off_the_blocks_works),
        cmocka_unit_test(a_device_does_not_grow),
        cmocka_unit_test(the_name_finds_the_driver),
        cmocka_unit_test(devices_are_locked_too),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
