/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to a node, and what the graph makes of them for the driver. */
#include "graph-test.h"

#define RW (BDRV_O_RDWR | BDRV_O_CACHE_WB)

static BlockDriverState *open_disk(int flags)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\"}", flags);

    disk.n_log = 0;
    return bs;
}

/* Raw above the disk; opened by name unless probed. */
static BlockDriverState *open_raw(bool probed, int flags)
{
    BlockDriverState *bs = open_ok("test:x", probed ? NULL : "{\"driver\":\"raw\"}", flags);

    disk.n_log = 0;
    return bs;
}

static void fill_disk(void)
{
    for (size_t i = 0; i < DISK_SIZE; i++) {
        disk.data[i] = 1 + i % 251;
    }
}

static void assert_filled(int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        assert_int_equal(disk.data[i], 1 + i % 251);
    }
}

static void assert_all(const uint8_t *buf, int value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(buf[i], value);
    }
}

static int run_read(BlockDriverState *bs, int64_t offset, int64_t bytes, void *buf)
{
    return request_run((Request){ .fn = do_read, .bs = bs, .offset = offset, .bytes = bytes,
                                  .buf = buf });
}

static int run_write(BlockDriverState *bs, int64_t offset, int64_t bytes, const void *buf,
                     int flags)
{
    return request_run((Request){ .fn = do_write, .bs = bs, .offset = offset, .bytes = bytes,
                                  .buf = (void *)buf, .flags = flags });
}

static int run_zero(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags)
{
    return request_run((Request){ .fn = do_zero, .bs = bs, .offset = offset, .bytes = bytes,
                                  .flags = flags });
}

static int run_discard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    return request_run((Request){ .fn = do_discard, .bs = bs, .offset = offset, .bytes = bytes });
}

/* ---- checks ---- */

static void bad_requests_fail_in_order(void **state)
{
    BlockDriverState *bs = open_disk(0), *none = bdrv_new();
    uint8_t buf[512];

    (void)state;
    assert_int_equal(bdrv_pread(none, -1, 512, buf), -ENOMEDIUM);
    assert_int_equal(bdrv_pread(bs, -1, 512, buf), -EIO);
    assert_int_equal(bdrv_pread(bs, 0, -1, buf), -EIO);
    assert_int_equal(bdrv_pread(bs, 0, BDRV_REQUEST_MAX_BYTES + 1, buf), -EIO);
    assert_int_equal(bdrv_pread(bs, INT64_MAX, 512, buf), -EIO);
    assert_int_equal(bdrv_pwrite(bs, -1, 512, buf), -EIO);
    assert_int_equal(bdrv_pwrite(bs, 0, 512, buf), -EPERM);
    assert_int_equal(run_zero(bs, 0, 512, 0), -EPERM);
    assert_int_equal(run_discard(bs, 0, 512), -EPERM);
    assert_int_equal(bdrv_truncate(bs, 512, PREALLOC_MODE_OFF, NULL), -EACCES);
    assert_int_equal(bdrv_truncate(bs, -1, PREALLOC_MODE_OFF, NULL), -EINVAL);
    assert_int_equal(bdrv_truncate(none, 512, PREALLOC_MODE_OFF, NULL), -ENOMEDIUM);
    assert_int_equal(bdrv_flush(bs), 0);
    assert_int_equal(bdrv_flush(none), 0);
    assert_int_equal(disk.n_log, 0);
    bdrv_unref(none);
    bdrv_unref(bs);
}

static void inactive_node_takes_no_writes(void **state)
{
    BlockDriverState *bs = open_disk(RW | BDRV_O_INACTIVE | BDRV_O_UNMAP);
    uint8_t buf[512] = { 0 };

    (void)state;
    assert_int_equal(bdrv_pwrite(bs, 0, 512, buf), -EPERM);
    assert_int_equal(run_discard(bs, 0, 512), -EPERM);
    assert_int_equal(bdrv_pread(bs, 0, 512, buf), 0);
    bdrv_unref(bs);
}

static void zero_length_touches_nothing(void **state)
{
    BlockDriverState *bs = open_disk(RW | BDRV_O_UNMAP);

    (void)state;
    assert_int_equal(run_read(bs, 7, 0, NULL), 0);
    assert_int_equal(run_write(bs, 7, 0, NULL, 0), 0);
    assert_int_equal(run_zero(bs, 7, 0, 0), 0);
    assert_int_equal(run_discard(bs, 7, 0), 0);
    assert_int_equal(run_write(bs, DISK_SIZE + 7, 0, NULL, 0), 0);
    assert_int_equal(disk.n_log, 0);
    assert_int_equal(bdrv_getlength(bs), DISK_SIZE);
    bdrv_unref(bs);
}

/* ---- the end of the node ---- */

static void length_is_rounded_up_to_a_sector(void **state)
{
    BlockDriverState *bs;

    (void)state;
    disk.length = 1000;
    bs = open_disk(0);
    assert_int_equal(bdrv_getlength(bs), 1024);
    bdrv_unref(bs);
}

static void reads_past_the_end_give_zeroes(void **state)
{
    BlockDriverState *bs;
    uint8_t buf[2048];

    (void)state;
    fill_disk();
    disk.length = 1024;
    bs = open_disk(0);
    memset(buf, 0xaa, sizeof(buf));
    assert_int_equal(bdrv_pread(bs, 512, 2048, buf), 0);
    assert_memory_equal(buf, disk.data + 512, 512);
    assert_all(buf + 512, 0, 1536);
    assert_int_equal(disk.n_log, 1);
    assert_logged(0, 'r', 512, 512);
    memset(buf, 0xaa, sizeof(buf));
    assert_int_equal(bdrv_pread(bs, INT64_MAX - 2048, 2048, buf), 0);
    assert_all(buf, 0, 2048);
    assert_int_equal(disk.n_log, 1);
    bdrv_unref(bs);
}

static void writes_past_the_end_grow(void **state)
{
    BlockDriverState *bs;
    uint8_t buf[512] = { 1 };

    (void)state;
    disk.length = 1024;
    bs = open_raw(false, RW);
    assert_int_equal(bdrv_pwrite(bs, 4096, 100, buf), 0);
    assert_int_equal(bdrv_getlength(bs), 4608);
    assert_int_equal(bs->wr_highest_offset, 4196);
    assert_int_equal(bdrv_file(bs)->length, 4608);
    assert_int_equal(bdrv_pwrite(bs, DISK_SIZE, 512, buf), -ENOSPC);
    assert_int_equal(bdrv_getlength(bs), 4608);
    bdrv_unref(bs);
}

static void truncate_refreshes_the_length(void **state)
{
    BlockDriverState *bs = open_disk(RW);
    Error *err = NULL;

    (void)state;
    assert_int_equal(bdrv_truncate(bs, 1000, PREALLOC_MODE_OFF, &error_abort), 0);
    assert_int_equal(bdrv_getlength(bs), 1024);
    assert_int_equal(bdrv_truncate(bs, DISK_SIZE + 1, PREALLOC_MODE_OFF, &err), -EFBIG);
    assert_string_equal(error_get_pretty(err), "Could not resize the image: File too large");
    error_free(err);
    assert_int_equal(bdrv_getlength(bs), 1024);
    bdrv_unref(bs);
}

/* ---- alignment ---- */

static void unaligned_read_gives_its_bytes(void **state)
{
    BlockDriverState *bs;
    uint8_t buf[6000];

    (void)state;
    fill_disk();
    disk.limits.request_alignment = 4096;
    bs = open_disk(0);
    assert_int_equal(bdrv_pread(bs, 5000, 6000, buf), 0);
    assert_memory_equal(buf, disk.data + 5000, 6000);
    assert_int_equal(disk.n_log, 1);
    assert_logged(0, 'r', 4096, 8192);
    assert_int_equal(bdrv_pread(bs, 8191, 1, buf), 0);
    assert_int_equal(buf[0], disk.data[8191]);
    bdrv_unref(bs);
}

static void unaligned_write_keeps_its_neighbours(void **state)
{
    static const struct { int64_t offset, bytes; int n_log; } writes[] = {
        { 5000, 100, 2 },       /* inside a block */
        { 5000, 6000, 3 },      /* head and tail */
        { 4096, 5000, 2 },      /* tail */
        { 5000, 3192, 2 },      /* head */
        { 8000, 400, 3 },       /* over a block's border */
    };
    uint8_t buf[6000];

    (void)state;
    memset(buf, 0, sizeof(buf));
    disk.limits.request_alignment = 4096;
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        int64_t offset = writes[i].offset, bytes = writes[i].bytes;
        BlockDriverState *bs;

        fill_disk();
        bs = open_disk(RW);
        assert_int_equal(bdrv_pwrite(bs, offset, bytes, buf), 0);
        assert_int_equal(disk.n_log, writes[i].n_log);
        assert_filled(0, offset);
        assert_all(disk.data + offset, 0, bytes);
        assert_filled(offset + bytes, DISK_SIZE);
        bdrv_unref(bs);
    }
}

static void unaligned_zero_write_keeps_its_neighbours(void **state)
{
    BlockDriverState *bs;

    (void)state;
    fill_disk();
    disk.limits.request_alignment = 4096;
    bs = open_disk(RW);
    assert_int_equal(run_zero(bs, 5000, 20000, 0), 0);
    assert_filled(0, 5000);
    assert_all(disk.data + 5000, 0, 20000);
    assert_filled(25000, DISK_SIZE);
    assert_int_equal(disk.n_log, 5);
    assert_logged(0, 'z', 8192, 16384);
    assert_int_equal(run_zero(bs, 30000, 10, BDRV_REQ_NO_FALLBACK), 0);
    assert_all(disk.data + 30000, 0, 10);
    assert_filled(30010, DISK_SIZE);
    bdrv_unref(bs);
}

/* ---- what the driver cannot take at once ---- */

static void large_requests_are_split(void **state)
{
    static uint8_t buf[64 * 1024];
    BlockDriverState *bs;

    (void)state;
    fill_disk();
    disk.limits.max_transfer = 20000;
    bs = open_raw(false, RW);
    assert_int_equal(bdrv_pread(bs, 512, sizeof(buf), buf), 0);
    assert_memory_equal(buf, disk.data + 512, sizeof(buf));
    assert_int_equal(disk.n_log, 4);
    assert_logged(0, 'r', 512, 19968);
    assert_logged(3, 'r', 512 + 3 * 19968, sizeof(buf) - 3 * 19968);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(bdrv_pwrite(bs, 1024, sizeof(buf), buf), 0);
    assert_int_equal(disk.n_log, 8);
    assert_all(disk.data + 1024, 0, sizeof(buf));
    assert_filled(0, 1024);
    assert_filled(1024 + sizeof(buf), DISK_SIZE);
    bdrv_unref(bs);
}

static int coroutine_fn read_scattered(Request *req)
{
    QEMUIOVector qiov;
    size_t piece = req->flags;
    int ret;

    qemu_iovec_init(&qiov, 1);
    for (int64_t i = 0; i < req->bytes; i += piece) {
        size_t rest = req->bytes - i;

        qemu_iovec_add(&qiov, (uint8_t *)req->buf + i, rest < piece ? rest : piece);
    }
    ret = bdrv_co_preadv(req->bs, req->offset, req->bytes, &qiov, 0);
    qemu_iovec_destroy(&qiov);
    return ret;
}

static void long_vectors_are_split_or_bounced(void **state)
{
    static const int pieces[] = { 512, 100, 700, 1024, 7 };
    uint8_t buf[8192];

    (void)state;
    fill_disk();
    disk.limits.max_iov = 3;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        BlockDriverState *bs = open_disk(0);
        Request req = { .fn = read_scattered, .bs = bs, .offset = 512, .bytes = sizeof(buf),
                        .buf = buf, .flags = pieces[i] };

        memset(buf, 0, sizeof(buf));
        assert_int_equal(request_run(req), 0);
        assert_memory_equal(buf, disk.data + 512, sizeof(buf));
        bdrv_unref(bs);
    }
}

static void misaligned_memory_is_bounced(void **state)
{
    static uint8_t mem[3 * 4096] __attribute__((aligned(4096)));
    BlockDriverState *bs;

    (void)state;
    fill_disk();
    disk.limits.min_mem_alignment = 4096;
    bs = open_raw(false, RW);
    assert_int_equal(bdrv_pread(bs, 512, 8192, mem + 1), 0);
    assert_memory_equal(mem + 1, disk.data + 512, 8192);
    assert_int_equal(bdrv_pwrite(bs, 1024, 8192, mem + 1), 0);
    assert_memory_equal(mem + 1, disk.data + 1024, 8192);
    assert_int_equal(disk.n_log, 2);
    bdrv_unref(bs);
}

/* ---- zero writes ---- */

static void zero_write_is_split_at_the_drivers_alignment(void **state)
{
    BlockDriverState *bs;

    (void)state;
    fill_disk();
    disk.limits.pwrite_zeroes_alignment = 4096;
    disk.limits.max_pwrite_zeroes = 10000;
    bs = open_raw(false, RW);
    assert_int_equal(run_zero(bs, 512, 20480, 0), 0);
    assert_logged(0, 'z', 512, 3584);
    assert_logged(1, 'z', 4096, 8192);
    assert_logged(2, 'z', 12288, 8192);
    assert_logged(3, 'z', 20480, 512);
    assert_int_equal(disk.n_log, 4);
    bdrv_unref(bs);
}

static void zero_write_falls_back_to_data(void **state)
{
    BlockDriverState *bs;

    (void)state;
    fill_disk();
    disk.zero_error = -ENOTSUP;
    disk.limits.max_transfer = 65536;
    bs = open_raw(false, RW);
    assert_int_equal(run_zero(bs, 512, 100000 / 512 * 512, BDRV_REQ_NO_FALLBACK), -ENOTSUP);
    assert_filled(0, DISK_SIZE);
    assert_int_equal(disk_count('w'), 0);
    assert_int_equal(run_zero(bs, 512, 196608, 0), 0);
    assert_int_equal(disk_count('w'), 3);
    assert_all(disk.data + 512, 0, 196608);
    assert_filled(512 + 196608, DISK_SIZE);
    disk.zero_error = -EIO;
    assert_int_equal(run_zero(bs, 0, 512, 0), -EIO);
    bdrv_unref(bs);
}

static void unmap_needs_the_open_flag(void **state)
{
    BlockDriverState *bs = open_raw(false, RW);

    (void)state;
    assert_int_equal(run_zero(bs, 0, 512, BDRV_REQ_MAY_UNMAP), 0);
    assert_int_equal(disk.log[0].flags, 0);
    bdrv_unref(bs);
    bs = open_raw(false, RW | BDRV_O_UNMAP);
    assert_int_equal(run_zero(bs, 0, 512, BDRV_REQ_MAY_UNMAP), 0);
    assert_int_equal(disk.log[0].flags, BDRV_REQ_MAY_UNMAP);
    bdrv_unref(bs);
}

static void zeroes_are_detected(void **state)
{
    BlockDriverState *bs = open_raw(false, RW | BDRV_O_UNMAP);
    uint8_t buf[1024] = { 0 };

    (void)state;
    fill_disk();
    bs->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_ON;
    assert_int_equal(bdrv_pwrite(bs, 0, 1024, buf), 0);
    assert_logged(0, 'z', 0, 1024);
    assert_int_equal(disk.log[0].flags, 0);
    bs->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP;
    assert_int_equal(bdrv_pwrite(bs, 1024, 1024, buf), 0);
    assert_logged(1, 'z', 1024, 1024);
    assert_int_equal(disk.log[1].flags, BDRV_REQ_MAY_UNMAP);
    buf[1023] = 1;
    assert_int_equal(bdrv_pwrite(bs, 2048, 1024, buf), 0);
    assert_logged(2, 'w', 2048, 1024);
    bdrv_unref(bs);
}

/* ---- stable storage ---- */

static void write_through_flushes_once_after_each_write(void **state)
{
    BlockDriverState *bs = open_raw(false, BDRV_O_RDWR | BDRV_O_UNMAP);
    uint8_t buf[512] = { 1 };

    (void)state;
    assert_int_equal(run_write(bs, 0, 512, buf, 0), 0);
    assert_int_equal(disk_count('f'), 1);
    assert_int_equal(run_write(bs, 0, 512, buf, BDRV_REQ_FUA), 0);
    assert_int_equal(disk_count('f'), 2);
    assert_int_equal(run_zero(bs, 0, 512, 0), 0);
    assert_int_equal(disk_count('f'), 3);
    assert_int_equal(run_discard(bs, 0, 512), 0);
    assert_int_equal(disk_count('f'), 3);
    disk.write_error = -EIO;
    assert_int_equal(run_write(bs, 0, 512, buf, 0), -EIO);
    assert_int_equal(disk_count('f'), 3);
    bdrv_set_enable_write_cache(bs, true);
    disk.write_error = 0;
    assert_int_equal(run_write(bs, 0, 512, buf, 0), 0);
    assert_int_equal(disk_count('f'), 3);
    bdrv_unref(bs);
}

static void failing_flush_fails_the_write(void **state)
{
    BlockDriverState *bs;
    uint8_t buf[512] = { 1 };

    (void)state;
    disk.length = 512;
    bs = open_disk(BDRV_O_RDWR);
    disk.flush_error = -EIO;
    assert_int_equal(run_write(bs, 512, 512, buf, 0), -EIO);
    assert_int_equal(bdrv_getlength(bs), 512);
    assert_int_equal(bs->wr_highest_offset, 1024);
    disk.flush_error = 0;
    bdrv_unref(bs);
}

static void fua_is_native_or_a_flush(void **state)
{
    BlockDriverState *bs = open_raw(false, RW);
    uint8_t buf[512] = { 1 };

    (void)state;
    assert_int_equal(run_write(bs, 0, 512, buf, BDRV_REQ_FUA), 0);
    assert_int_equal(disk_count('f'), 1);
    assert_int_equal(disk.log[0].flags, 0);
    bdrv_unref(bs);

    test_driver.native_fua = true;
    bs = open_raw(false, RW);
    assert_int_equal(run_write(bs, 0, 512, buf, BDRV_REQ_FUA), 0);
    assert_int_equal(run_zero(bs, 0, 512, BDRV_REQ_FUA), 0);
    assert_int_equal(disk_count('f'), 0);
    assert_int_equal(disk.log[0].flags, BDRV_REQ_FUA);
    assert_int_equal(disk.log[1].flags, BDRV_REQ_FUA);
    bdrv_unref(bs);
    test_driver.native_fua = false;
}

static void no_flush_still_empties_driver_caches(void **state)
{
    BlockDriverState *bs = open_raw(false, RW | BDRV_O_NO_FLUSH);
    uint8_t buf[512] = { 1 };

    (void)state;
    assert_int_equal(bdrv_flush(bs), 0);
    assert_int_equal(disk_count('o'), 1);
    assert_int_equal(disk_count('f'), 0);
    test_driver.native_fua = true;
    assert_int_equal(run_write(bs, 0, 512, buf, BDRV_REQ_FUA), 0);
    test_driver.native_fua = false;
    assert_int_equal(disk.log[1].flags, 0);
    assert_int_equal(disk_count('f'), 0);
    bdrv_unref(bs);
}

static void closing_flushes(void **state)
{
    BlockDriverState *bs = open_disk(RW);

    (void)state;
    bdrv_unref(bs);
    assert_int_equal(disk_count('f'), 1);
    bs = open_disk(0);
    bdrv_unref(bs);
    assert_int_equal(disk_count('f'), 0);
}

/* ---- discard ---- */

static void discard_is_a_hint(void **state)
{
    BlockDriverState *bs = open_raw(false, RW);

    (void)state;
    assert_int_equal(run_discard(bs, 0, 4096), 0);
    assert_int_equal(disk.n_log, 0);
    bdrv_unref(bs);
    disk.limits.pdiscard_alignment = 4096;
    disk.limits.max_pdiscard = 8192;
    bs = open_raw(false, RW | BDRV_O_UNMAP);
    disk.discard_error = -ENOTSUP;
    assert_int_equal(run_discard(bs, 100, 20000), 0);
    assert_logged(0, 'd', 512, 3584);
    assert_logged(1, 'd', 4096, 8192);
    assert_logged(2, 'd', 12288, 4096);
    assert_logged(3, 'd', 16384, 3584);
    assert_int_equal(disk.n_log, 4);
    assert_int_equal(run_discard(bs, 100, 200), 0);
    assert_int_equal(disk.n_log, 4);
    disk.discard_error = -EIO;
    assert_int_equal(run_discard(bs, 0, 4096), -EIO);
    bdrv_unref(bs);
}

/* ---- a guessed raw image stays one ---- */

static void probed_raw_refuses_a_foreign_header(void **state)
{
    BlockDriverState *bs = open_raw(true, RW);
    uint8_t buf[1024] = "TFMT";

    (void)state;
    assert_int_equal(bdrv_pwrite(bs, 0, 1024, buf), -EPERM);
    assert_int_equal(bdrv_pwrite(bs, 0, 4, buf), -EPERM);
    assert_int_equal(bdrv_pwrite(bs, 0, 2, buf), 0);
    assert_int_equal(bdrv_pwrite(bs, 2, 2, buf + 2), -EPERM);
    assert_int_equal(bdrv_pwrite(bs, 1, 510, buf + 1), -EPERM);
    assert_int_equal(bdrv_pwrite(bs, 512, 512, buf), 0);
    buf[0] = 'X';
    buf[600] = 'Y';
    assert_int_equal(bdrv_pwrite(bs, 0, 1024, buf), 0);
    assert_memory_equal(disk.data, buf, 1024);
    assert_int_equal(run_zero(bs, 0, 1024, 0), 0);
    assert_all(disk.data, 0, 1024);
    bdrv_unref(bs);
    bs = open_raw(false, RW);
    buf[0] = 'T';
    assert_int_equal(bdrv_pwrite(bs, 0, 1024, buf), 0);
    bdrv_unref(bs);
}

/* Formats that we have no driver of, but others have. */
static void probed_raw_refuses_headers_that_name_files(void **state)
{
    static const char *const headers[] = {
        "QFI\xfb\0\0\0\3", "QED", "KDMV", "COWD", "conectix", "vhdxfile", "version=1\n",
        "# Disk DescriptorFile\n\n  \r\n  # more\nversion=3\r\n",
    };
    static const char *const harmless[] = {
        "", "QFI", "QEDx", "VERSION=1", "# only\n# comments\n", "\n\nx\nversion=1", " version=1",
        "# to the end",
    };
    BlockDriverState *bs = open_raw(true, RW);
    char sector[512];

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        memset(sector, 0, sizeof(sector));
        strcpy(sector, headers[i]);
        assert_int_equal(bdrv_pwrite(bs, 0, 512, sector), -EPERM);
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        memset(sector, 0, sizeof(sector));
        strcpy(sector, harmless[i]);
        assert_int_equal(bdrv_pwrite(bs, 0, 512, sector), 0);
    }
    memset(sector, '\n', sizeof(sector));
    assert_int_equal(bdrv_pwrite(bs, 0, 512, sector), 0);
    bdrv_unref(bs);
}

/* Each half alone is harmless. */
static void two_half_headers_do_not_pass_together(void **state)
{
    BlockDriverState *bs = open_raw(true, RW);
    Request a = { .fn = do_write, .bs = bs, .offset = 0, .bytes = 2, .buf = "TF" };
    Request b = { .fn = do_write, .bs = bs, .offset = 2, .bytes = 2, .buf = "MT" };

    (void)state;
    disk.hold = true;
    request_start(&a);
    request_start(&b);
    assert_int_equal(disk.n_held, 1);
    disk.hold = false;
    disk_release();
    assert_int_equal(request_finish(&a), 0);
    assert_int_equal(request_finish(&b), -EPERM);
    bdrv_unref(bs);
}

/* ---- the window of raw ---- */

static void raw_window_hides_the_rest(void **state)
{
    BlockDriverState *bs;
    uint8_t buf[2048];

    (void)state;
    fill_disk();
    bs = open_ok("test:x", "{\"driver\":\"raw\",\"offset\":512,\"size\":1024}", RW);
    assert_int_equal(bdrv_getlength(bs), 1024);
    assert_int_equal(bdrv_pread(bs, 512, 2048, buf), 0);
    assert_memory_equal(buf, disk.data + 1024, 512);
    assert_all(buf + 512, 0, 1536);
    assert_int_equal(bdrv_pwrite(bs, 1000, 25, buf), -ENOSPC);
    assert_filled(0, DISK_SIZE);
    bdrv_unref(bs);
}

/* ---- block status ---- */

typedef struct StatusCall {
    BlockDriverState *bs;
    int64_t offset, bytes, pnum;
    bool above;
    int ret;
} StatusCall;

static void coroutine_fn status_entry(void *opaque)
{
    StatusCall *call = opaque;

    call->ret = call->above
        ? bdrv_co_block_status_above(call->bs, NULL, call->offset, call->bytes, &call->pnum)
        : bdrv_co_block_status(call->bs, call->offset, call->bytes, &call->pnum, NULL, NULL);
}

static void assert_status(BlockDriverState *bs, bool above, int64_t offset, int64_t bytes,
                          int bits, int64_t pnum)
{
    StatusCall call = { .bs = bs, .offset = offset, .bytes = bytes, .above = above };

    qemu_coroutine_enter(qemu_coroutine_create(status_entry), &call);
    assert_int_equal(call.ret, bits);
    assert_int_equal(call.pnum, pnum);
}

static void status_without_answer_is_data(void **state)
{
    const int data = BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED;
    BlockDriverState *bs = open_raw(false, 0);

    (void)state;
    assert_status(bs, false, 512, 1024, data | BDRV_BLOCK_OFFSET_VALID, 1024);
    assert_status(bs, false, DISK_SIZE - 100, 1024,
                  data | BDRV_BLOCK_OFFSET_VALID | BDRV_BLOCK_EOF, 100);
    assert_status(bs, false, DISK_SIZE, 1024, BDRV_BLOCK_EOF, 0);
    assert_status(bs, false, 0, 0, 0, 0);
    assert_status(bs, true, 512, 1024, data, 1024);
    assert_status(bs, true, 0, 0, 0, 0);
    assert_status(bs, true, DISK_SIZE, 1024, BDRV_BLOCK_ZERO, 1024);
    bdrv_unref(bs);
}

/* Data in blocks 1 and 3 of 4 KiB, holes between; blocks 4 to 7 lie with the backing file. */
static int coroutine_fn striped_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    int64_t block = offset / 4096, rest = (block + 1) * 4096 - offset;

    (void)bs;
    assert_int_equal(offset % 512, 0);
    *pnum = rest < bytes ? rest : bytes;
    *map = offset;
    *file = bs;
    return block >= 4 && block < 8 ? 0 : block % 2 ? BDRV_BLOCK_DATA : BDRV_BLOCK_ZERO;
}

static void status_tells_holes(void **state)
{
    BlockDriverState *bs = open_raw(false, 0);

    (void)state;
    test_driver.bdrv_co_block_status = striped_status;
    assert_status(bs, true, 100, 10000, BDRV_BLOCK_ZERO | BDRV_BLOCK_ALLOCATED, 3996);
    assert_status(bs, true, 4097, 10000, BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED, 4095);
    assert_status(bs, true, 4097, 3, BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED, 3);
    assert_status(bs, true, 16384, 100000, BDRV_BLOCK_ZERO, 4096);
    test_driver.bdrv_co_block_status = NULL;
    bdrv_unref(bs);
}

/* ---- everything together, against a model ---- */

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 8;
}

static void run_against_model(unsigned seed)
{
    static uint8_t model[DISK_SIZE], buf[40000];
    BlockDriverState *bs;

    disk_reset();
    disk.limits.request_alignment = 512u << next_random(&seed) % 4;
    disk.limits.max_transfer = next_random(&seed) % 2 ? 8192 : 0;
    disk.limits.min_mem_alignment = next_random(&seed) % 2 ? 512 : 0;
    disk.limits.pwrite_zeroes_alignment = next_random(&seed) % 2 ? 8192 : 0;
    disk.zero_error = next_random(&seed) % 2 ? -ENOTSUP : 0;
    fill_disk();
    memcpy(model, disk.data, DISK_SIZE);
    bs = open_raw(next_random(&seed) % 2, next_random(&seed) % 2 ? RW : BDRV_O_RDWR);
    bs->detect_zeroes = next_random(&seed) % 2;
    for (int i = 0; i < 300; i++) {
        int64_t bytes = next_random(&seed) % (i % 3 ? 600 : sizeof(buf)) + 1;
        int64_t offset = next_random(&seed) % (DISK_SIZE - bytes);
        int value = next_random(&seed) % 3;

        if (next_random(&seed) % 2) {
            memset(buf, 0xee, bytes);
            assert_int_equal(run_read(bs, offset, bytes, buf), 0);
            assert_memory_equal(buf, model + offset, bytes);
            continue;
        }
        memset(model + offset, value, bytes);
        if (value == 0 && i % 2) {
            assert_int_equal(run_zero(bs, offset, bytes, 0), 0);
        } else {
            memset(buf, value, bytes);
            assert_int_equal(run_write(bs, offset, bytes, buf, i % 2 ? BDRV_REQ_FUA : 0), 0);
        }
    }
    assert_memory_equal(disk.data, model, DISK_SIZE);
    bdrv_unref(bs);
}

static void random_requests_match_a_model(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 24; seed++) {
        run_against_model(seed * 7919);
    }
}

#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_requests_fail_in_order),
        TEST(inactive_node_takes_no_writes),
        TEST(zero_length_touches_nothing),
        TEST(length_is_rounded_up_to_a_sector),
        TEST(reads_past_the_end_give_zeroes),
        TEST(writes_past_the_end_grow),
        TEST(truncate_refreshes_the_length),
        TEST(unaligned_read_gives_its_bytes),
        TEST(unaligned_write_keeps_its_neighbours),
        TEST(unaligned_zero_write_keeps_its_neighbours),
        TEST(large_requests_are_split),
        TEST(long_vectors_are_split_or_bounced),
        TEST(misaligned_memory_is_bounced),
        TEST(zero_write_is_split_at_the_drivers_alignment),
        TEST(zero_write_falls_back_to_data),
        TEST(unmap_needs_the_open_flag),
        TEST(zeroes_are_detected),
        TEST(write_through_flushes_once_after_each_write),
        TEST(failing_flush_fails_the_write),
        TEST(fua_is_native_or_a_flush),
        TEST(no_flush_still_empties_driver_caches),
        TEST(closing_flushes),
        TEST(discard_is_a_hint),
        TEST(probed_raw_refuses_a_foreign_header),
        TEST(probed_raw_refuses_headers_that_name_files),
        TEST(two_half_headers_do_not_pass_together),
        TEST(raw_window_hides_the_rest),
        TEST(status_without_answer_is_data),
        TEST(status_tells_holes),
        TEST(random_requests_match_a_model),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
