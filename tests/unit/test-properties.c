/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a backend tells about itself and its medium. */
#include "blk-test.h"

static void inserted_is_what_the_driver_says(void **state)
{
    BlockBackend *blk = open_disk();

    (void)state;
    assert_true(blk_is_inserted(blk));
    assert_true(blk_is_available(blk));
    medium.not_inserted = true;
    assert_false(blk_is_inserted(blk));
    assert_false(blk_is_available(blk));
    assert_int_equal(blk_getlength(blk), -ENOMEDIUM);
    medium.not_inserted = false;
    blk_unref(blk);
}

static void a_format_is_inserted_if_its_file_is(void **state)
{
    QDict *options = driver_options("raw", NULL);
    BlockBackend *blk;

    (void)state;
    qdict_put(options, "file.driver", qstring_from_str("test"));
    blk = blk_new_open(NULL, NULL, options, 0, &error_abort);
    assert_true(blk_is_inserted(blk));
    medium.not_inserted = true;
    assert_false(blk_is_inserted(blk));
    medium.not_inserted = false;
    blk_unref(blk);
}

static void an_empty_or_driverless_backend_has_defaults(void **state)
{
    BlockBackend *blk = blk_new_with_bs(NULL);
    BlockSizes sizes;
    HDGeometry geo;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_false(blk_is_inserted(blk));
        assert_false(blk_is_available(blk));
        assert_int_equal(blk_is_sg(blk), 0);
        assert_int_equal(blk_get_max_transfer_length(blk), 0);
        assert_int_equal(blk_get_max_iov(blk), 1024);
        assert_int_equal(blk_get_request_alignment(blk), 512);
        assert_int_equal(blk_get_max_transfer(blk), BDRV_REQUEST_MAX_BYTES);
        assert_int_equal(blk_get_opt_transfer(blk), 0);
        assert_int_equal(blk_probe_blocksizes(blk, &sizes), -ENOMEDIUM);
        assert_int_equal(blk_probe_geometry(blk, &geo), -ENOMEDIUM);
        if (i == 0) {
            blk_remove_bs(blk);
        }
    }
    blk_unref(blk);
}

static void limits_are_the_roots(void **state)
{
    BlockBackend *blk;

    (void)state;
    medium.max_transfer = 1 << 16;
    medium.max_iov = 16;
    blk = open_disk();
    assert_int_equal(blk_get_max_transfer_length(blk), 128);
    assert_int_equal(blk_get_max_transfer(blk), 1 << 16);
    assert_int_equal(blk_get_max_iov(blk), 16);
    blk_unref(blk);

    medium.max_transfer = 0;
    medium.max_iov = 0;
    blk = open_disk();
    assert_int_equal(blk_get_max_transfer_length(blk), 0);
    assert_int_equal(blk_get_max_iov(blk), 1024);
    blk_unref(blk);
}

static void limits_are_advice(void **state)
{
    BlockBackend *blk;
    uint8_t *buf;

    (void)state;
    medium.max_transfer = 4096;
    blk = open_disk();
    buf = blk_blockalign(blk, 65536);
    assert_int_equal(blk_pread(blk, 0, buf, 65536), 65536);
    assert_int_equal(buf[65535], 0x5a);
    qemu_vfree(buf);
    blk_unref(blk);
}

static void a_scsi_generic_device_is_known(void **state)
{
    BlockBackend *blk;

    (void)state;
    medium.sg = true;
    blk = open_disk();
    assert_int_equal(blk_is_sg(blk), 1);
    blk_remove_bs(blk);
    assert_int_equal(blk_is_sg(blk), 0);
    blk_unref(blk);
}

static void write_cache_is_the_roots(void **state)
{
    BlockBackend *blk = open_disk();
    uint8_t buf[512] = { 0 };

    (void)state;
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    assert_int_equal(medium.flushed, 0);
    blk_set_enable_write_cache(blk, false);
    assert_int_equal(medium.flushed, 0);        /* does not flush */
    assert_int_equal(blk_enable_write_cache(blk), 0);
    assert_false(blk_get_flags(blk) & BDRV_O_CACHE_WB);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    assert_int_equal(medium.flushed, 1);
    blk_set_enable_write_cache(blk, true);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    assert_true(blk_get_flags(blk) & BDRV_O_CACHE_WB);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    assert_int_equal(medium.flushed, 1);
    blk_unref(blk);
}

static bool is_aligned(const void *mem, uintptr_t align)
{
    return (uintptr_t)mem % align == 0;
}

static void buffers_are_aligned_for_the_root(void **state)
{
    BlockBackend *blk = open_disk();        /* its driver asks for 16 KiB */
    uint8_t *mem = blk_blockalign(blk, 100);
    uint8_t *empty = blk_try_blockalign(blk, 0);

    (void)state;
    assert_true(is_aligned(mem, 16384));
    assert_non_null(empty);
    assert_true(is_aligned(empty, 16384));
    memset(empty, 1, 16384);                /* one unit of it is there */
    qemu_vfree(mem);
    qemu_vfree(empty);
    blk_remove_bs(blk);
    mem = blk_try_blockalign(blk, 1);
    assert_true(is_aligned(mem, 4096));
    qemu_vfree(mem);
    mem = blk_blockalign(NULL, 0);
    assert_true(is_aligned(mem, 4096));
    memset(mem, 1, 4096);
    qemu_vfree(mem);
    qemu_vfree(NULL);
    blk_unref(blk);
}

/* The sanitizers' allocators stop the program instead. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void lack_of_memory_is_reported_or_aborts(void **state)
{
    BlockBackend *blk = open_disk();
    pid_t pid;
    int status;

    (void)state;
    assert_null(blk_try_blockalign(blk, SIZE_MAX / 2));
    pid = fork();
    if (pid == 0) {
        abort_child_setup(STDERR_FILENO);
        blk_blockalign(blk, SIZE_MAX / 2);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    blk_unref(blk);
}
#endif

static void probing_asks_the_driver(void **state)
{
    BlockBackend *blk = open_disk();
    BlockSizes sizes = { 0, 0 };
    HDGeometry geo = { 0, 0, 0 };

    (void)state;
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), 0);
    assert_int_equal(sizes.phys, 4096);
    assert_int_equal(sizes.log, 512);
    assert_int_equal(blk_probe_geometry(blk, &geo), 0);
    assert_int_equal(geo.heads, 15);
    assert_int_equal(geo.sectors, 12);
    assert_int_equal(geo.cylinders, 1000);
    medium.not_inserted = true;
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), -ENOMEDIUM);
    assert_int_equal(blk_probe_geometry(blk, &geo), -ENOMEDIUM);
    medium.not_inserted = false;
    blk_unref(blk);
}

static void raw_asks_its_file(void **state)
{
    QDict *options = driver_options("raw", NULL);
    BlockBackend *blk;
    BlockSizes sizes = { 0, 0 };
    HDGeometry geo = { 0, 0, 0 };

    (void)state;
    qdict_put(options, "file.driver", qstring_from_str("test"));
    blk = blk_new_open(NULL, NULL, options, 0, &error_abort);
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), 0);
    assert_int_equal(sizes.phys, 4096);
    assert_int_equal(blk_probe_geometry(blk, &geo), 0);
    assert_int_equal(geo.cylinders, 1000);
    blk_unref(blk);
}

static void a_driver_that_does_not_know_says_so(void **state)
{
    BlockBackend *blk = blk_new_open(NULL, NULL, driver_options("null-co", NULL), 0, &error_abort);
    BlockSizes sizes;
    HDGeometry geo;

    (void)state;
    assert_int_equal(blk_probe_blocksizes(blk, &sizes), -ENOTSUP);
    assert_int_equal(blk_probe_geometry(blk, &geo), -ENOTSUP);
    blk_unref(blk);
}

static void invalidation_needs_a_medium(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Error *err = NULL;

    (void)state;
    blk_invalidate_cache(blk, &err);
    assert_error(err, "Device '' has no medium");
    monitor_add_blk(blk, "disk", &error_abort);
    blk_invalidate_cache(blk, &err);
    assert_error(err, "Device 'disk' has no medium");
    monitor_remove_blk(blk);
    blk_unref(blk);
}

static void an_active_node_is_not_invalidated(void **state)
{
    BlockBackend *blk = open_disk(), *driverless = blk_new_with_bs(NULL);

    (void)state;
    blk_invalidate_cache(blk, &error_abort);
    assert_int_equal(medium.invalidated, 0);
    blk_invalidate_cache(driverless, &error_abort);
    blk_unref(blk);
    blk_unref(driverless);
}

static void invalidation_activates(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_INACTIVE);
    uint8_t buf[512] = { 0 };

    (void)state;
    assert_true(blk_get_flags(blk) & BDRV_O_INACTIVE);
    assert_int_equal(blk_write(blk, 0, buf, 1), -EPERM);
    blk_invalidate_cache(blk, &error_abort);
    assert_int_equal(medium.invalidated, 1);
    assert_false(blk_get_flags(blk) & BDRV_O_INACTIVE);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    blk_unref(blk);
}

static void a_failed_invalidation_stays_inactive(void **state)
{
    BlockBackend *blk = open_blk(NULL, BDRV_O_RDWR | BDRV_O_INACTIVE);
    Error *err = NULL;

    (void)state;
    medium.fail_invalidate = true;
    blk_invalidate_cache(blk, &err);
    assert_error(err, "metadata are gone");
    assert_true(blk_get_flags(blk) & BDRV_O_INACTIVE);
    blk_invalidate_cache(blk, NULL);
    medium.fail_invalidate = false;
    blk_invalidate_cache(blk, &error_abort);
    assert_false(blk_get_flags(blk) & BDRV_O_INACTIVE);
    blk_unref(blk);
}

static void invalidation_goes_down_to_the_file(void **state)
{
    QDict *options = driver_options("raw", NULL);
    BlockBackend *blk;
    uint8_t buf[512] = { 0 };

    (void)state;
    qdict_put(options, "file.driver", qstring_from_str("test"));
    blk = blk_new_open(NULL, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_INACTIVE,
                       &error_abort);
    blk_invalidate_cache(blk, &error_abort);
    assert_int_equal(medium.invalidated, 1);
    assert_int_equal(blk_write(blk, 0, buf, 1), 0);
    blk_unref(blk);
}

static void cache_modes_set_their_bits(void **state)
{
    static const struct {
        const char *mode;
        int flags;
    } rows[] = {
        { "writethrough", 0 },
        { "writeback", BDRV_O_CACHE_WB },
        { "none", BDRV_O_NOCACHE | BDRV_O_CACHE_WB },
        { "off", BDRV_O_NOCACHE | BDRV_O_CACHE_WB },
        { "directsync", BDRV_O_NOCACHE },
        { "unsafe", BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH },
    };
    int flags;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        flags = BDRV_O_RDWR | BDRV_O_CACHE_MASK;
        assert_int_equal(bdrv_parse_cache_mode(rows[i].mode, &flags), 0);
        assert_int_equal(flags, BDRV_O_RDWR | rows[i].flags);
    }
    assert_int_equal(bdrv_parse_cache_mode("on", &flags), -EINVAL);
    assert_int_equal(bdrv_parse_cache_mode("", &flags), -EINVAL);
    assert_int_equal(flags, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH);
}

static void discard_modes_set_their_bit(void **state)
{
    int flags = BDRV_O_RDWR;

    (void)state;
    assert_int_equal(bdrv_parse_discard_flags("unmap", &flags), 0);
    assert_int_equal(flags, BDRV_O_RDWR | BDRV_O_UNMAP);
    assert_int_equal(bdrv_parse_discard_flags("off", &flags), 0);
    assert_int_equal(flags, BDRV_O_RDWR);
    assert_int_equal(bdrv_parse_discard_flags("on", &flags), 0);
    assert_int_equal(flags, BDRV_O_RDWR | BDRV_O_UNMAP);
    assert_int_equal(bdrv_parse_discard_flags("ignore", &flags), 0);
    assert_int_equal(flags, BDRV_O_RDWR);
    assert_int_equal(bdrv_parse_discard_flags("perhaps", &flags), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(inserted_is_what_the_driver_says),
        BLK_TEST(a_format_is_inserted_if_its_file_is),
        BLK_TEST(an_empty_or_driverless_backend_has_defaults),
        BLK_TEST(limits_are_the_roots),
        BLK_TEST(limits_are_advice),
        BLK_TEST(a_scsi_generic_device_is_known),
        BLK_TEST(write_cache_is_the_roots),
        BLK_TEST(buffers_are_aligned_for_the_root),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        BLK_TEST(lack_of_memory_is_reported_or_aborts),
#endif
        BLK_TEST(probing_asks_the_driver),
        BLK_TEST(raw_asks_its_file),
        BLK_TEST(a_driver_that_does_not_know_says_so),
        BLK_TEST(invalidation_needs_a_medium),
        BLK_TEST(an_active_node_is_not_invalidated),
        BLK_TEST(invalidation_activates),
        BLK_TEST(a_failed_invalidation_stays_inactive),
        BLK_TEST(invalidation_goes_down_to_the_file),
        BLK_TEST(cache_modes_set_their_bits),
        BLK_TEST(discard_modes_set_their_bit),
    };

    return cmocka_run_group_tests_name("properties", tests, blk_test_setup, NULL);
}
