/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regular files, on a disk and in memory, buffered and with O_DIRECT. */
#include "driver-test.h"

#include <pthread.h>

static const char *const folders[] = { ON_DISK, IN_MEMORY };

#define FOR_EACH_FOLDER(folder) \
    for (const char *const *folder = folders; folder < folders + 2; folder++)

/* ---- size ---- */

static void length_is_rounded_up_and_the_tail_reads_as_zeroes(void **state)
{
    uint8_t data[1000];
    TestFile file;
    BlockBackend *blk;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        memset(data, 0x61, sizeof(data));
        test_file_make(&file, *folder, 0);
        assert_int_equal(pwrite(file.fd, data, sizeof(data), 0), sizeof(data));
        blk = open_file(&file, RDWR);
        assert_int_equal(blk_getlength(blk), 1024);
        assert_bytes(blk, 0, 1000, 0x61);
        assert_bytes(blk, 1000, 24, 0);
        assert_status(blk, 0, 1024, BDRV_BLOCK_DATA);
        assert_status(blk, 1000, 24, BDRV_BLOCK_DATA);
        write_byte(blk, 1001, 1, 0x62);
        assert_bytes(blk, 1000, 1, 0);
        assert_bytes(blk, 1001, 1, 0x62);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void length_is_asked_anew(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, 0);
    assert_int_equal(blk_getlength(blk), MIB);
    assert_int_equal(ftruncate(file.fd, 2 * MIB), 0);
    assert_int_equal(blk_getlength(blk), 2 * MIB);
    assert_bytes(blk, MIB, 512, 0);
    assert_int_equal(ftruncate(file.fd, 512), 0);
    assert_int_equal(blk_getlength(blk), 512);
    blk_unref(blk);
    test_file_remove(&file);
}

static void truncate_changes_the_file(void **state)
{
    TestFile file;
    BlockBackend *blk;
    struct stat st;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        test_file_make(&file, *folder, MIB);
        blk = open_file(&file, RDWR);
        write_byte(blk, 0, MIB, 1);
        assert_int_equal(blk_truncate(blk, 8192), 0);
        assert_int_equal(fstat(file.fd, &st), 0);
        assert_int_equal(st.st_size, 8192);
        assert_int_equal(blk_truncate(blk, MIB), 0);
        assert_bytes(blk, 0, 8192, 1);
        assert_bytes(blk, 8192, MIB - 8192, 0);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void writes_past_the_end_make_it_longer(void **state)
{
    static const int flags[] = { 0, BDRV_REQ_MAY_UNMAP };
    TestFile file;
    BlockBackend *blk;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        for (int i = 0; i < 2; i++) {
            test_file_make(&file, *folder, 4096);
            blk = open_file(&file, RDWR);
            blk_set_allow_write_beyond_eof(blk, true);
            write_byte(blk, 0, 4096, 1);
            assert_int_equal(blk_pwrite_zeroes(blk, 2048, 6144, flags[i]), 0);
            assert_int_equal(blk_getlength(blk), 8192);
            assert_int_equal(blk_pwrite_zeroes(blk, 64 * KIB, 4096, flags[i]), 0);
            assert_int_equal(blk_getlength(blk), 68 * KIB);
            write_byte(blk, 128 * KIB, 512, 2);
            assert_int_equal(blk_getlength(blk), 128 * KIB + 512);
            assert_bytes(blk, 0, 2048, 1);
            assert_bytes(blk, 2048, 126 * KIB, 0);
            blk_unref(blk);
            test_file_remove(&file);
        }
    }
}

/* ---- space ---- */

static void status_knows_the_holes(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        test_file_make(&file, *folder, 4 * MIB);
        blk = open_file(&file, RDWR);
        assert_status(blk, 0, 4 * MIB, BDRV_BLOCK_ZERO);
        write_byte(blk, MIB, MIB, 1);
        assert_status(blk, 0, MIB, BDRV_BLOCK_ZERO);
        assert_status(blk, MIB, MIB, BDRV_BLOCK_DATA);
        assert_status(blk, MIB + 512, 512, BDRV_BLOCK_DATA);
        assert_status(blk, 2 * MIB, 2 * MIB, BDRV_BLOCK_ZERO);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void discard_gives_space_back(void **state)
{
    TestFile file;
    BlockBackend *blk;
    int64_t before;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        test_file_make(&file, *folder, MIB);
        blk = open_file(&file, RDWR);
        write_byte(blk, 0, MIB, 1);
        assert_int_equal(blk_flush(blk), 0);
        before = test_file_blocks(&file);
        assert_int_equal(blk_pdiscard(blk, 256 * KIB, 512 * KIB), 0);
        assert_true(test_file_blocks(&file) <= before - 1024);
        assert_status(blk, 256 * KIB, 512 * KIB, BDRV_BLOCK_ZERO);
        assert_status(blk, 0, 256 * KIB, BDRV_BLOCK_DATA);
        assert_bytes(blk, 255 * KIB, KIB, 1);
        assert_bytes(blk, 256 * KIB, 512 * KIB, 0);
        assert_int_equal(blk_getlength(blk), MIB);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void zero_write_keeps_or_frees_space_as_told(void **state)
{
    TestFile file;
    BlockBackend *blk;
    int64_t before;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        test_file_make(&file, *folder, MIB);
        blk = open_file(&file, RDWR);
        write_byte(blk, 0, MIB, 1);
        assert_int_equal(blk_flush(blk), 0);
        before = test_file_blocks(&file);
        assert_int_equal(blk_pwrite_zeroes(blk, 1000, 500000, BDRV_REQ_FUA), 0);
        assert_true(test_file_blocks(&file) >= before);
        assert_bytes(blk, 0, 1000, 1);
        assert_bytes(blk, 1000, 500000, 0);
        assert_bytes(blk, 501000, 1000, 1);
        assert_int_equal(blk_pwrite_zeroes(blk, 512 * KIB, 512 * KIB, BDRV_REQ_MAY_UNMAP), 0);
        assert_true(test_file_blocks(&file) <= before - 1024 + 16);
        assert_bytes(blk, 512 * KIB, 512 * KIB, 0);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void without_the_unmap_flag_discard_does_nothing(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR & ~BDRV_O_UNMAP);
    write_byte(blk, 0, MIB, 1);
    assert_int_equal(blk_pdiscard(blk, 0, MIB), 0);
    assert_bytes(blk, 0, MIB, 1);
    blk_unref(blk);
    test_file_remove(&file);
}

/* ---- vectors and alignment ---- */

typedef struct AioResult {
    bool done;
    int ret;
} AioResult;

static void aio_done(void *opaque, int ret)
{
    *(AioResult *)opaque = (AioResult){ .done = true, .ret = ret };
}

static int aio_wait(const AioResult *result)
{
    while (!result->done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    return result->ret;
}

/* More elements than the kernel takes at once, and no end of one on a block's boundary. */
static void make_many_elements(QEMUIOVector *qiov, uint8_t *data, size_t bytes)
{
    qemu_iovec_init(qiov, 1);
    qemu_iovec_add(qiov, data, 13);
    for (size_t at = 13; at < bytes; at += 512) {
        qemu_iovec_add(qiov, data + at, bytes - at < 512 ? bytes - at : 512);
    }
}

static void check_many_elements(const char *folder, int flags)
{
    static uint8_t data[1500 * 512], back[1500 * 512];
    AioResult written = { 0 }, read = { 0 };
    QEMUIOVector out, in;
    BlockBackend *blk;
    TestFile file;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    memset(back, 0, sizeof(back));
    test_file_make(&file, folder, MIB);
    blk = open_file(&file, flags);
    make_many_elements(&out, data, sizeof(data));
    make_many_elements(&in, back, sizeof(back));
    blk_aio_pwritev(blk, 777, &out, 0, aio_done, &written);
    assert_int_equal(aio_wait(&written), 0);
    blk_aio_preadv(blk, 777, &in, 0, aio_done, &read);
    assert_int_equal(aio_wait(&read), 0);
    assert_memory_equal(back, data, sizeof(data));
    assert_bytes(blk, 0, 777, 0);
    qemu_iovec_destroy(&out);
    qemu_iovec_destroy(&in);
    blk_unref(blk);
    test_file_remove(&file);
}

static void vectors_of_any_shape(void **state)
{
    (void)state;
    check_many_elements(ON_DISK, RDWR);
    check_many_elements(ON_DISK, RDWR | BDRV_O_NOCACHE);
    check_many_elements(IN_MEMORY, RDWR);
}

static void direct_io_takes_any_bytes(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, 0);
    assert_int_equal(pwrite(file.fd, "x", 1, 9999), 1);
    blk = open_file(&file, RDWR | BDRV_O_NOCACHE);
    assert_true(blk_get_request_alignment(blk) >= 512);
    assert_bytes(blk, 9999, 1, 'x');
    assert_bytes(blk, 10000, 240, 0);
    write_byte(blk, 3, 9000, 'y');
    assert_bytes(blk, 0, 3, 0);
    assert_bytes(blk, 3, 9000, 'y');
    assert_bytes(blk, 9003, 996, 0);
    assert_bytes(blk, 9999, 1, 'x');
    assert_int_equal(blk_pwrite_zeroes(blk, 5, 4000, BDRV_REQ_FUA), 0);
    assert_bytes(blk, 5, 4000, 0);
    assert_int_equal(blk_flush(blk), 0);
    blk_unref(blk);
    test_file_remove(&file);
}

/* ---- opening ---- */

static void what_is_no_file_is_refused(void **state)
{
    char fifo[] = "./blk-test-fifo-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(fifo));
    assert_int_equal(rmdir(fifo), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_open_fails("is a named pipe", RDWR, "'driver':'file','filename':'%s'", fifo);
    unlink(fifo);
    assert_open_fails("is a directory", 0, "'driver':'file','filename':'/'");
    assert_open_fails("is a character device", RDWR, "'driver':'file','filename':'/dev/null'");
    assert_open_fails("is a regular file", 0, "'driver':'host_device','filename':'/etc/passwd'");
    assert_open_fails("Could not open '/nonexistent': No such file", 0,
                      "'driver':'file','filename':'/nonexistent'");
    assert_open_fails("'filename' is missing", 0, "'driver':'file'");
}

static void options_are_checked(void **state)
{
    TestFile file;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    assert_open_fails("aio=native was specified, but it requires cache.direct=on, which was not "
                      "specified.", 0, "'driver':'file','filename':'%s','aio':'native'", file.path);
    assert_open_fails("'aio' expects one of: threads, native, io_uring", 0,
                      "'driver':'file','filename':'%s','aio':'posix'", file.path);
    assert_open_fails("'locking' expects one of: auto, on, off", 0,
                      "'driver':'file','filename':'%s','locking':'never'", file.path);
    blk_unref(open_options(RDWR | BDRV_O_NOCACHE, &error_abort,
                           "'driver':'file','filename':'%s','aio':'native'", file.path));
    blk_unref(open_options(RDWR, &error_abort,
                           "'driver':'file','filename':'%s','aio':'io_uring'", file.path));
    test_file_remove(&file);
}

static void temporary_file_goes_at_once(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR | BDRV_O_TEMPORARY);
    assert_int_equal(access(file.path, F_OK), -1);
    write_byte(blk, 0, 512, 1);
    assert_bytes(blk, 0, 512, 1);
    blk_unref(blk);
    close(file.fd);
}

static void read_only_is_the_second_best(void **state)
{
    bool is_root = geteuid() == 0;
    TestFile file;
    Error *err = NULL;
    BlockBackend *blk, *none;

    (void)state;
    test_file_make(&file, "/tmp", MIB);
    assert_int_equal(fchmod(file.fd, 0444), 0);
    if (is_root) {
        assert_int_equal(seteuid(65534), 0);
    }
    none = open_options(RDWR, &err, "'driver':'file','filename':'%s'", file.path);
    blk = open_file(&file, RDWR | BDRV_O_AUTO_RDONLY);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_null(none);
    assert_non_null(strstr(error_get_pretty(err), "Permission denied"));
    error_free(err);
    assert_true(blk_is_read_only(blk));
    assert_bytes(blk, 0, 512, 0);
    blk_unref(blk);
    test_file_remove(&file);
}

static int reopen(BlockBackend *blk, int flags, Error **errp)
{
    return bdrv_find_format("file")->bdrv_reopen(blk_bs(blk), flags, errp);
}

static void reopen_by_descriptor(void **state)
{
    TestFile file, other;
    BlockBackend *blk;
    int fds;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR | BDRV_O_TEMPORARY);
    test_file_make(&other, ON_DISK, 0);
    fds = dup(file.fd);
    close(fds);
    assert_int_equal(reopen(blk, 0, &error_abort), 0);
    assert_bytes(blk, 0, 512, 0);
    assert_int_equal(reopen(blk, RDWR, &error_abort), 0);
    write_byte(blk, 0, 512, 5);
    assert_bytes(blk, 0, 512, 5);
    assert_int_equal(dup(file.fd), fds);    /* none was left open */
    close(fds);
    blk_unref(blk);
    close(file.fd);
    test_file_remove(&other);
}

/* ---- reads without a copy ---- */

static void mapping_shows_the_files_memory(void **state)
{
    TestFile file;
    BlockBackend *blk;
    BlockMapping map;

    (void)state;
    test_file_make(&file, IN_MEMORY, MIB);
    blk = open_file(&file, RDWR);
    write_byte(blk, 8192, 8192, 0x19);
    assert_int_equal(map_read(blk, 8192 + 512, 4096, &map), 0);
    assert_false(map.stable);
    assert_int_equal(*(const uint8_t *)map.data, 0x19);
    write_byte(blk, 8192 + 512, 1, 0x20);
    assert_int_equal(*(const uint8_t *)map.data, 0x20);
    blk_unref(blk);
    assert_int_equal(*(const uint8_t *)map.data, 0x20);   /* lives on without the node */
    blk_unmap(&map);
    test_file_remove(&file);
}

static void holes_are_not_lent_and_stay_holes(void **state)
{
    TestFile file;
    BlockBackend *blk;
    BlockMapping map;

    (void)state;
    test_file_make(&file, IN_MEMORY, MIB);
    blk = open_file(&file, RDWR);
    assert_int_equal(map_read(blk, 0, 4096, &map), -ENOTSUP);
    write_byte(blk, 0, 8192, 1);
    assert_int_equal(map_read(blk, 4096, 8192, &map), -ENOTSUP);
    assert_bytes(blk, 0, 8192, 1);
    assert_bytes(blk, 8192, MIB - 8192, 0);
    assert_int_equal(test_file_blocks(&file), 16);
    assert_int_equal(map_read(blk, 0, 8192, &map), 0);
    blk_unmap(&map);
    assert_int_equal(blk_pdiscard(blk, 0, 4096), 0);
    assert_int_equal(map_read(blk, 0, 8192, &map), -ENOTSUP);
    assert_int_equal(map_read(blk, 4096, 4096, &map), 0);
    blk_unmap(&map);
    assert_int_equal(test_file_blocks(&file), 8);
    blk_unref(blk);
    test_file_remove(&file);
}

static void mapping_follows_a_growing_file(void **state)
{
    TestFile file;
    BlockBackend *blk;
    BlockMapping maps[20];

    (void)state;
    test_file_make(&file, IN_MEMORY, 0);
    blk = open_file(&file, RDWR);
    blk_set_allow_write_beyond_eof(blk, true);
    for (int i = 0; i < 20; i++) {
        write_byte(blk, i * 64 * KIB, 64 * KIB, i);
        assert_int_equal(map_read(blk, i * 64 * KIB, 64 * KIB, &maps[i]), 0);
    }
    assert_int_equal(map_read(blk, 20 * 64 * KIB, 512, &(BlockMapping){ 0 }), -ENOTSUP);
    blk_unref(blk);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(*(const uint8_t *)maps[i].data, i);
        blk_unmap(&maps[i]);
    }
    test_file_remove(&file);
}

static void only_files_in_memory_are_mapped(void **state)
{
    TestFile file;
    BlockBackend *blk;
    BlockMapping map;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    write_byte(blk, 0, 4096, 1);
    assert_int_equal(map_read(blk, 0, 4096, &map), -ENOTSUP);
    blk_unref(blk);
    test_file_remove(&file);
}

/* ---- many threads ---- */

#define SLICE (256 * KIB)

typedef struct Worker {
    pthread_t thread;
    BlockBackend *blk;
    int64_t offset;
    int bad;
} Worker;

/* Each in a slice of its own; cmocka's asserts are for the main thread only. */
static void *worker_run(void *opaque)
{
    Worker *w = opaque;
    uint8_t buf[8192];
    int64_t n;

    for (int round = 0; round < 200; round++) {
        int64_t at = w->offset + round % 31 * 7000;

        memset(buf, round, sizeof(buf));
        w->bad += blk_pwrite(w->blk, at, buf, sizeof(buf)) != sizeof(buf);
        w->bad += round % 20 == 0 && blk_flush(w->blk) != 0;
        w->bad += blk_block_status(w->blk, at, sizeof(buf), &n) < 0;
        memset(buf, ~round, sizeof(buf));
        w->bad += blk_pread(w->blk, at, buf, sizeof(buf)) != sizeof(buf);
        w->bad += buf[0] != (uint8_t)round || buf[8191] != (uint8_t)round;
        w->bad += blk_pwrite_zeroes(w->blk, at + 100, 5000, BDRV_REQ_MAY_UNMAP) != 0;
        w->bad += blk_pread(w->blk, at, buf, sizeof(buf)) != sizeof(buf);
        w->bad += buf[99] != (uint8_t)round || buf[100] || buf[5099] || buf[5100] != (uint8_t)round;
    }
    return NULL;
}

static void threads_do_not_meet(void **state)
{
    TestFile file;

    (void)state;
    FOR_EACH_FOLDER(folder) {
        Worker workers[4];
        BlockBackend *blk;

        test_file_make(&file, *folder, 4 * SLICE);
        blk = open_file(&file, RDWR);
        for (int i = 0; i < 4; i++) {
            workers[i] = (Worker){ .blk = blk, .offset = (int64_t)i * SLICE };
            pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(workers[i].thread, NULL);
            assert_int_equal(workers[i].bad, 0);
        }
        blk_unref(blk);
        test_file_remove(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_is_rounded_up_and_the_tail_reads_as_zeroes),
        cmocka_unit_test(length_is_asked_anew),
        cmocka_unit_test(truncate_changes_the_file),
        cmocka_unit_test(writes_past_the_end_make_it_longer),
        cmocka_unit_test(status_knows_the_holes),
        cmocka_unit_test(discard_gives_space_back),
        cmocka_unit_test(zero_write_keeps_or_frees_space_as_told),
        cmocka_unit_test(without_the_unmap_flag_discard_does_nothing),
        cmocka_unit_test(vectors_of_any_shape),
        cmocka_unit_test(direct_io_takes_any_bytes),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(temporary_file_goes_at_once),
        cmocka_unit_test(read_only_is_the_second_best),
        cmocka_unit_test(reopen_by_descriptor),
        cmocka_unit_test(mapping_shows_the_files_memory),
        cmocka_unit_test(holes_are_not_lent_and_stay_holes),
        cmocka_unit_test(mapping_follows_a_growing_file),
        cmocka_unit_test(only_files_in_memory_are_mapped),
        cmocka_unit_test(threads_do_not_meet),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
