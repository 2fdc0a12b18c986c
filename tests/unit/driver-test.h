/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of the drivers: images in files of their own, opened from a line of JSON. */
#ifndef DRIVER_TEST_H
#define DRIVER_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <blkbackend/block-backend.h>

#define KIB 1024
#define MIB (1024 * 1024)
#define RDWR (BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP)

/* ---- the event loop; $ENGINE names the engine ---- */

static inline int driver_test_setup(void **state)
{
    const char *engine = getenv("ENGINE");

    (void)state;
    alarm(280);     /* a lost wake-up fails the test instead of hanging it */
    if (engine && aio_set_engine(engine, NULL) < 0) {
        printf("no %s here\n", engine);
        exit(77);
    }
    return qemu_init_main_loop(NULL);
}

/* ---- a folder of its own, where names meet no other run's ---- */

static inline int own_folder_setup(void **state)
{
    static char name[] = "./blk-test-XXXXXX";

    if (!mkdtemp(name) || chdir(name) < 0) {
        perror(name);
        return -1;
    }
    return driver_test_setup(state);
}

static inline int own_folder_remove(void **state)
{
    char *path = getcwd(NULL, 0);
    DIR *dir = opendir(".");
    struct dirent *entry;
    int ret;

    (void)state;
    while ((entry = readdir(dir))) {
        remove(entry->d_name);
    }
    closedir(dir);
    ret = chdir("..") < 0 ? -1 : rmdir(path);
    free(path);
    return ret;
}

/* ---- files ---- */

typedef struct TestFile {
    char path[256];
    int fd;             /* by the back door */
} TestFile;

#define ON_DISK "."     /* where make check runs: a real file system */
#define IN_MEMORY "/dev/shm"

static inline void test_file_make(TestFile *file, const char *folder, off_t size)
{
    char name[200];

    snprintf(name, sizeof(name), "%s/blk-test-XXXXXX", folder);
    file->fd = mkstemp(name);
    if (file->fd < 0) {
        printf("no files in %s\n", folder);
        skip();
    }
    assert_non_null(realpath(name, file->path));
    assert_int_equal(ftruncate(file->fd, size), 0);
}

static inline void test_file_remove(TestFile *file)
{
    close(file->fd);
    unlink(file->path);
}

static inline int64_t test_file_blocks(TestFile *file)
{
    struct stat st;

    assert_int_equal(fstat(file->fd, &st), 0);
    return st.st_blocks;
}

/* ---- backends ---- */

/* format gives the options as JSON, without the outer braces, with ' in place of ". */
static inline BlockBackend * __attribute__((format(printf, 3, 4)))
open_options(int flags, Error **errp, const char *format, ...)
{
    char name[1024] = "json:{";
    size_t start = strlen(name);
    va_list ap;

    va_start(ap, format);
    vsnprintf(name + start, sizeof(name) - start - 2, format, ap);
    va_end(ap);
    strcat(name, "}");
    for (char *c = name; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return blk_new_open(name, NULL, NULL, flags, errp);
}

static inline BlockBackend *open_file(TestFile *file, int flags)
{
    return open_options(flags, &error_abort, "'driver':'file','filename':'%s'", file->path);
}

/* The error that opening gives, freed; it must contain text. */
#define assert_open_fails(text, flags, ...)                                          \
    do {                                                                             \
        Error *open_err = NULL;                                                      \
                                                                                     \
        assert_null(open_options((flags), &open_err, __VA_ARGS__));                  \
        assert_non_null(open_err);                                                   \
        if (!strstr(error_get_pretty(open_err), (text))) {                           \
            fail_msg("'%s' does not say '%s'", error_get_pretty(open_err), (text));  \
        }                                                                            \
        error_free(open_err);                                                        \
    } while (0)

/* ---- content ---- */

static inline void write_byte(BlockBackend *blk, int64_t offset, int bytes, int value)
{
    uint8_t *buf = malloc((size_t)bytes);

    memset(buf, value, (size_t)bytes);
    assert_int_equal(blk_pwrite(blk, offset, buf, bytes), bytes);
    free(buf);
}

static inline void assert_bytes(BlockBackend *blk, int64_t offset, int bytes, int value)
{
    uint8_t *buf = malloc((size_t)bytes);

    memset(buf, ~value, (size_t)bytes);
    assert_int_equal(blk_pread(blk, offset, buf, bytes), bytes);
    for (int i = 0; i < bytes; i++) {
        if (buf[i] != (uint8_t)value) {
            fail_msg("byte %lld is 0x%02x, not 0x%02x", (long long)offset + i, buf[i], value);
        }
    }
    free(buf);
}

/* The range is, all of it and no more than that up to `bytes`, what `bits` say (DATA or ZERO). */
static inline void assert_status(BlockBackend *blk, int64_t offset, int64_t bytes, int bits)
{
    int64_t n;

    while (bytes > 0) {
        int ret = blk_block_status(blk, offset, bytes, &n);

        assert_int_equal(ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO), bits);
        assert_true(n > 0 && n <= bytes);
        offset += n;
        bytes -= n;
    }
}

/* ---- reads without a copy, from the test's thread ---- */

typedef struct MapCall {
    BlockBackend *blk;
    int64_t offset, bytes;
    BlockMapping *map;
    int ret;
    bool done;
} MapCall;

static inline void coroutine_fn map_call_entry(void *opaque)
{
    MapCall *call = opaque;

    call->ret = blk_co_map_read(call->blk, call->offset, call->bytes, call->map);
    call->done = true;
}

static inline int map_read(BlockBackend *blk, int64_t offset, int64_t bytes, BlockMapping *map)
{
    MapCall call = { .blk = blk, .offset = offset, .bytes = bytes, .map = map };

    qemu_coroutine_enter(qemu_coroutine_create(map_call_entry), &call);
    while (!call.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    return call.ret;
}

#endif
