/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests of the graph: the protocol driver "test", a disk in memory that
 * logs what it is asked and checks that it is asked in its own terms, and the
 * format driver "testfmt", which knows its images by their first bytes "TFMT".
 */
#ifndef TESTS_GRAPH_TEST_H
#define TESTS_GRAPH_TEST_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

#define DISK_SIZE (256 * 1024)
#define LOG_MAX 256

typedef struct LogEntry {
    char op;                 /* r w z d f(lush) */
    int64_t offset, bytes;
    int niov, flags;
} LogEntry;

/* The one disk that all nodes of the driver "test" show. */
static struct TestDisk {
    /* What it is like; set before a node is opened. */
    BlockLimits limits;
    int64_t length;
    bool read_only_only;     /* can only be opened read-only */

    /* What goes wrong. */
    int write_error, flush_error, zero_error, discard_error;
    bool hold;               /* writes wait for disk_release() */
    bool yield;              /* reads and writes let others run meanwhile */

    uint8_t data[DISK_SIZE];
    pthread_mutex_t lock;    /* the log; the rest where only one thread goes */
    LogEntry log[LOG_MAX];
    int n_log;
    Coroutine *held[16];
    int n_held;
    int opened, closed;
    int open_flags;          /* of the last open */
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void disk_reset(void)
{
    memset(&disk.limits, 0, sizeof(disk.limits));
    disk.length = DISK_SIZE;
    disk.read_only_only = disk.hold = disk.yield = false;
    disk.write_error = disk.flush_error = disk.zero_error = disk.discard_error = 0;
    memset(disk.data, 0, sizeof(disk.data));
    disk.n_log = disk.n_held = disk.opened = disk.closed = disk.open_flags = 0;
}

static inline void disk_log(char op, int64_t offset, int64_t bytes, int niov, int flags)
{
    pthread_mutex_lock(&disk.lock);
    if (disk.n_log < LOG_MAX) {
        disk.log[disk.n_log] = (LogEntry){ op, offset, bytes, niov, flags };
    }
    disk.n_log++;
    pthread_mutex_unlock(&disk.lock);
}

/* How often op was asked. */
static inline int disk_count(char op)
{
    int count = 0;

    for (int i = 0; i < disk.n_log && i < LOG_MAX; i++) {
        count += disk.log[i].op == op;
    }
    return count;
}

static inline void assert_logged(int i, char op, int64_t offset, int64_t bytes)
{
    assert_in_range(i, 0, disk.n_log - 1);
    assert_int_equal(disk.log[i].op, op);
    assert_int_equal(disk.log[i].offset, offset);
    assert_int_equal(disk.log[i].bytes, bytes);
}

/* Lets the oldest held write go on. */
static inline void disk_release(void)
{
    Coroutine *co = disk.held[0];

    assert_true(disk.n_held > 0);
    memmove(disk.held, disk.held + 1, --disk.n_held * sizeof(co));
    aio_co_wake(co);
}

static inline void disk_check(int64_t offset, int64_t bytes, QEMUIOVector *qiov)
{
    size_t mem = disk.limits.min_mem_alignment ? disk.limits.min_mem_alignment : 1;
    int64_t align = disk.limits.request_alignment > 512 ? disk.limits.request_alignment : 512;

    assert_true(bytes > 0 && offset % align == 0 && bytes % align == 0);
    assert_true(!disk.limits.max_transfer || !qiov || bytes <= disk.limits.max_transfer);
    if (!qiov) {
        return;
    }
    assert_int_equal(qiov->size, bytes);
    assert_true(!disk.limits.max_iov || qiov->niov <= disk.limits.max_iov);
    for (int i = 0; i < qiov->niov; i++) {
        assert_true((uintptr_t)qiov->iov[i].iov_base % mem == 0);
        assert_true(qiov->iov[i].iov_len % (mem < (size_t)align ? mem : (size_t)align) == 0);
    }
}

static inline int disk_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    if (disk.read_only_only && (flags & BDRV_O_RDWR)) {
        if (!(flags & BDRV_O_AUTO_RDONLY)) {
            error_setg(errp, "Could not open '%s': Permission denied", bdrv_filename(bs));
            return -EACCES;
        }
        bdrv_set_read_only(bs);
    }
    if (strcmp(bdrv_filename(bs), "missing") == 0) {
        return -ENOENT;
    }
    qdict_del(options, "filename");
    disk.open_flags = flags;
    disk.opened++;
    return 0;
}

static inline void disk_close(BlockDriverState *bs)
{
    (void)bs;
    disk.closed++;
}

static inline void disk_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    (void)bs;
    (void)errp;
    *limits = disk.limits;
}

static inline int64_t coroutine_fn disk_getlength(BlockDriverState *bs)
{
    (void)bs;
    return disk.length;
}

static inline void disk_wake(void *opaque)
{
    aio_co_wake(opaque);
}

static inline void coroutine_fn disk_wait(void)
{
    if (disk.yield) {
        aio_bh_schedule_oneshot(qemu_get_current_aio_context(), disk_wake, qemu_coroutine_self());
        qemu_coroutine_yield();
    }
}

static inline int coroutine_fn disk_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                           QEMUIOVector *qiov, int flags)
{
    (void)bs;
    disk_log('r', offset, bytes, qiov->niov, flags);
    disk_check(offset, bytes, qiov);
    qemu_iovec_from_buf(qiov, 0, disk.data + offset, bytes);
    disk_wait();
    return 0;
}

static inline void coroutine_fn disk_wait_while_held(void)
{
    if (disk.hold) {
        disk.held[disk.n_held++] = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
}

static inline int coroutine_fn disk_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            QEMUIOVector *qiov, int flags)
{
    (void)bs;
    disk_log('w', offset, bytes, qiov->niov, flags);
    disk_check(offset, bytes, qiov);
    disk_wait_while_held();
    disk_wait();
    if (disk.write_error) {
        return disk.write_error;
    }
    if (offset + bytes > DISK_SIZE) {
        return -ENOSPC;
    }
    qemu_iovec_to_buf(qiov, 0, disk.data + offset, bytes);
    if (disk.length < offset + bytes) {
        disk.length = offset + bytes;
    }
    return 0;
}

static inline int coroutine_fn disk_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                                  int64_t bytes, int flags)
{
    (void)bs;
    disk_log('z', offset, bytes, 0, flags);
    disk_check(offset, bytes, NULL);
    if (disk.zero_error == 0) {
        memset(disk.data + offset, 0, bytes);
    }
    return disk.zero_error;
}

static inline int coroutine_fn disk_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    (void)bs;
    disk_log('d', offset, bytes, 0, 0);
    disk_check(offset, bytes, NULL);
    return disk.discard_error;
}

static inline int coroutine_fn disk_flush(BlockDriverState *bs)
{
    (void)bs;
    disk_log('f', 0, 0, 0, 0);
    return disk.flush_error;
}

static inline int coroutine_fn disk_flush_to_os(BlockDriverState *bs)
{
    (void)bs;
    disk_log('o', 0, 0, 0, 0);
    return 0;
}

static inline int coroutine_fn disk_truncate(BlockDriverState *bs, int64_t offset,
                                            PreallocMode prealloc, Error **errp)
{
    (void)bs;
    (void)prealloc;
    (void)errp;
    if (offset > DISK_SIZE) {
        return -EFBIG;
    }
    disk.length = offset;
    return 0;
}

#define TEST_DISK_DRIVER                                    \
    .bdrv_open = disk_open,                                 \
    .bdrv_close = disk_close,                               \
    .bdrv_refresh_limits = disk_refresh_limits,             \
    .bdrv_co_getlength = disk_getlength,                    \
    .bdrv_co_preadv = disk_preadv,                          \
    .bdrv_co_pwritev = disk_pwritev,                        \
    .bdrv_co_pwrite_zeroes = disk_pwrite_zeroes,            \
    .bdrv_co_pdiscard = disk_pdiscard,                      \
    .bdrv_co_flush_to_os = disk_flush_to_os,                \
    .bdrv_co_flush_to_disk = disk_flush,                    \
    .bdrv_co_truncate = disk_truncate

static BlockDriver test_driver = {
    .format_name = "test",
    .protocol_name = "test",
    TEST_DISK_DRIVER,
};
BLOCK_DRIVER(test_driver)

/* ---- the format ---- */

static inline int testfmt_probe(const uint8_t *buf, int buf_size, const char *filename)
{
    (void)filename;
    return buf_size >= 4 && memcmp(buf, "TFMT", 4) == 0 ? 100 : 0;
}

static inline int coroutine_fn testfmt_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                              QEMUIOVector *qiov, int flags)
{
    return bdrv_co_preadv(bdrv_file(bs), offset + 512, bytes, qiov, flags);
}

static inline int64_t coroutine_fn testfmt_getlength(BlockDriverState *bs)
{
    int64_t length = bdrv_co_getlength(bdrv_file(bs));

    return length < 512 ? length : length - 512;
}

static BlockDriver testfmt_driver = {
    .format_name = "testfmt",
    .has_file_child = true,
    .bdrv_probe = testfmt_probe,
    .bdrv_co_getlength = testfmt_getlength,
    .bdrv_co_preadv = testfmt_preadv,
};
BLOCK_DRIVER(testfmt_driver)

/* ---- opening ---- */

static inline QDict *options_from(const char *json)
{
    QDict *options = json_loads(json, 0, NULL);

    assert_non_null(options);
    return options;
}

/* json may be NULL. */
static inline BlockDriverState *open_ok(const char *filename, const char *json, int flags)
{
    BlockDriverState *bs = NULL;
    int ret = bdrv_open(&bs, filename, NULL, json ? options_from(json) : NULL, flags,
                        &error_abort);

    assert_int_equal(ret, 0);
    assert_non_null(bs);
    return bs;
}

static inline int unit_main_loop(void **state)
{
    (void)state;
    qemu_init_main_loop(&error_abort);
    return 0;
}

static inline int unit_reset_disk(void **state)
{
    (void)state;
    disk_reset();
    return 0;
}

/* ---- requests in coroutines of their own ---- */

typedef struct Request {
    int coroutine_fn (*fn)(struct Request *req);
    BlockDriverState *bs;
    int64_t offset, bytes;
    void *buf;
    int flags;
    int ret;
    bool done;
} Request;

static inline void coroutine_fn request_entry(void *opaque)
{
    Request *req = opaque;

    req->ret = req->fn(req);
    req->done = true;
}

/* Runs it until it has to wait for the first time. */
static inline void request_start(Request *req)
{
    req->done = false;
    qemu_coroutine_enter(qemu_coroutine_create(request_entry), req);
}

static inline int request_finish(Request *req)
{
    while (!req->done) {
        aio_poll(qemu_get_current_aio_context(), true);
    }
    return req->ret;
}

static inline int request_run(Request req)
{
    request_start(&req);
    return request_finish(&req);
}

static inline int coroutine_fn do_read(Request *req)
{
    struct iovec iov = { req->buf, req->bytes };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    return bdrv_co_preadv(req->bs, req->offset, req->bytes, &qiov, req->flags);
}

static inline int coroutine_fn do_write(Request *req)
{
    struct iovec iov = { req->buf, req->bytes };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    return bdrv_co_pwritev(req->bs, req->offset, req->bytes, &qiov, req->flags);
}

static inline int coroutine_fn do_zero(Request *req)
{
    return bdrv_co_pwrite_zeroes(req->bs, req->offset, req->bytes, req->flags);
}

static inline int coroutine_fn do_discard(Request *req)
{
    return bdrv_co_pdiscard(req->bs, req->offset, req->bytes);
}

#endif
