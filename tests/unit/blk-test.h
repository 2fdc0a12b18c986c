/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests of BlockBackends: a driver "test" whose medium does what the test
 * says, and EXPECT_ABORT() for broken preconditions.
 */
#ifndef BLK_TEST_H
#define BLK_TEST_H

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#define MEDIUM_SIZE (1 << 20)

/* What all nodes of the driver "test" do, and what was done to them. */
static struct TestMedium {
    bool not_inserted;       /* answer of bdrv_is_inserted */
    bool slow;               /* reads wait for medium_go() */
    bool sg;                 /* of nodes opened from now on */
    bool fail_invalidate;
    int64_t max_transfer;    /* of nodes opened from now on */
    int max_iov;
    Coroutine *waiting;      /* the read that waits */
    int opened, closed, flushed, reads, writes, invalidated;
    int ejects, lock_calls;
    int plugged;             /* depth */
    bool ejected, locked;    /* last argument */
} medium;

static inline int test_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    (void)flags;
    (void)errp;
    qdict_del(options, "filename");
    bdrv_set_sg(bs, medium.sg);
    medium.opened++;
    return 0;
}

static inline void test_close(BlockDriverState *bs)
{
    (void)bs;
    medium.closed++;
}

static inline void test_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    (void)bs;
    (void)errp;
    limits->max_transfer = medium.max_transfer;
    limits->max_iov = medium.max_iov;
    limits->opt_mem_alignment = 16384;
}

static inline int64_t coroutine_fn test_co_getlength(BlockDriverState *bs)
{
    (void)bs;
    return MEDIUM_SIZE;
}

static inline int coroutine_fn test_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                              QEMUIOVector *qiov, int flags)
{
    (void)bs;
    (void)offset;
    (void)flags;
    medium.reads++;
    if (medium.slow) {
        medium.waiting = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
    qemu_iovec_memset(qiov, 0, 0x5a, bytes);
    return 0;
}

static inline int coroutine_fn test_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                               QEMUIOVector *qiov, int flags)
{
    (void)bs;
    (void)offset;
    (void)bytes;
    (void)qiov;
    (void)flags;
    medium.writes++;
    return 0;
}

static inline int coroutine_fn test_co_flush(BlockDriverState *bs)
{
    (void)bs;
    medium.flushed++;
    return 0;
}

static inline void coroutine_fn test_co_invalidate(BlockDriverState *bs, Error **errp)
{
    (void)bs;
    medium.invalidated++;
    if (medium.fail_invalidate) {
        error_setg(errp, "metadata are gone");
    }
}

static inline bool test_is_inserted(BlockDriverState *bs)
{
    (void)bs;
    return !medium.not_inserted;
}

static inline void test_eject(BlockDriverState *bs, bool eject_flag)
{
    (void)bs;
    medium.ejects++;
    medium.ejected = eject_flag;
}

static inline void test_lock_medium(BlockDriverState *bs, bool locked)
{
    (void)bs;
    medium.lock_calls++;
    medium.locked = locked;
}

static inline int test_probe_blocksizes(BlockDriverState *bs, BlockSizes *bsz)
{
    (void)bs;
    *bsz = (BlockSizes){ .phys = 4096, .log = 512 };
    return 0;
}

static inline int test_probe_geometry(BlockDriverState *bs, HDGeometry *geo)
{
    (void)bs;
    *geo = (HDGeometry){ .heads = 15, .sectors = 12, .cylinders = 1000 };
    return 0;
}

static inline void test_io_plug(BlockDriverState *bs)
{
    (void)bs;
    medium.plugged++;
}

static inline void test_io_unplug(BlockDriverState *bs)
{
    (void)bs;
    medium.plugged--;
}

static BlockDriver test_driver = {
    .format_name = "test",
    .protocol_name = "test",
    .bdrv_open = test_open,
    .bdrv_close = test_close,
    .bdrv_refresh_limits = test_refresh_limits,
    .bdrv_co_getlength = test_co_getlength,
    .bdrv_co_preadv = test_co_preadv,
    .bdrv_co_pwritev = test_co_pwritev,
    .bdrv_co_flush_to_disk = test_co_flush,
    .bdrv_co_invalidate_cache = test_co_invalidate,
    .bdrv_is_inserted = test_is_inserted,
    .bdrv_eject = test_eject,
    .bdrv_lock_medium = test_lock_medium,
    .bdrv_probe_blocksizes = test_probe_blocksizes,
    .bdrv_probe_geometry = test_probe_geometry,
    .bdrv_io_plug = test_io_plug,
    .bdrv_io_unplug = test_io_unplug,
};

BLOCK_DRIVER(test_driver)

/* ---- making things ---- */

static inline int blk_test_setup(void **state)
{
    (void)state;
    alarm(280);     /* a lost wake-up fails the test instead of hanging it */
    return qemu_init_main_loop(NULL);
}

/* Each test starts with a medium that does nothing special. */
static inline int medium_reset(void **state)
{
    (void)state;
    memset(&medium, 0, sizeof(medium));
    return 0;
}

static inline QDict *driver_options(const char *driver, const char *node_name)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str(driver));
    if (node_name) {
        qdict_put(options, "node-name", qstring_from_str(node_name));
    }
    return options;
}

static inline BlockDriverState *open_node(const char *node_name, int flags)
{
    BlockDriverState *bs = NULL;

    bdrv_open(&bs, NULL, NULL, driver_options("test", node_name), flags, &error_abort);
    return bs;
}

static inline BlockBackend *open_blk(const char *node_name, int flags)
{
    return blk_new_open(NULL, NULL, driver_options("test", node_name), flags, &error_abort);
}

/* A backend with a medium that is read-write and write-back. */
static inline BlockBackend *open_disk(void)
{
    return open_blk(NULL, BDRV_O_RDWR | BDRV_O_CACHE_WB);
}

/* Lets the slow read go on, from the next round of the loop. */
static inline void medium_wake(void *opaque)
{
    (void)opaque;
    medium.slow = false;
    aio_co_wake(medium.waiting);
}

static inline void medium_go(void)
{
    aio_bh_schedule_oneshot(qemu_get_aio_context(), medium_wake, NULL);
}

/* ---- AIO ---- */

typedef struct AioResult {
    int calls;
    int ret;
} AioResult;

static inline void aio_result_cb(void *opaque, int ret)
{
    AioResult *result = opaque;

    result->calls++;
    result->ret = ret;
}

static inline void aio_result_wait(AioResult *result)
{
    while (!result->calls) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

/* ---- notifiers ---- */

/* Notes what it saw, and in which place of the order of calls. */
typedef struct TestNotifier {
    Notifier notifier;
    int calls;
    int place;                  /* 1, 2, 3... over all of them */
    void *data;
    BlockDriverState *root;     /* of data, seen in the call */
    bool remove_itself;
    void (*action)(struct TestNotifier *self, BlockBackend *blk);
} TestNotifier;

static int test_notifier_calls;

static inline void test_notify(Notifier *notifier, void *data)
{
    TestNotifier *n = (TestNotifier *)notifier;

    n->calls++;
    n->place = ++test_notifier_calls;
    n->data = data;
    n->root = blk_bs(data);
    if (n->remove_itself) {
        notifier_remove(notifier);
    }
    if (n->action) {
        n->action(n, data);
    }
}

/* ---- what must fail ---- */

#define assert_error(err, text)                                             \
    do {                                                                    \
        assert_non_null(err);                                               \
        if (!strstr(error_get_pretty(err), (text))) {                       \
            fail_msg("'%s' does not say '%s'", error_get_pretty(err), (text)); \
        }                                                                   \
        error_free(err);                                                    \
        (err) = NULL;                                                       \
    } while (0)

static inline void abort_child_setup(int fd)
{
    const struct rlimit no_core = { 0, 0 };

    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    dup2(fd, STDERR_FILENO);
}

static inline void abort_child_check(pid_t pid, int fd)
{
    char text[4096];
    size_t len = 0;
    ssize_t n;
    int status;

    while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += n;
    }
    close(fd);
    text[len] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    /* exactly one line */
    assert_non_null(strchr(text, '\n'));
    assert_string_equal(strchr(text, '\n'), "\n");
}

/*
 * stmt, in a process of its own, prints one line and aborts.  ThreadSanitizer
 * stops seeing synchronisation in a forked process and reports races that are
 * none: under it stmt is only compiled.
 */
#ifdef UNDER_TSAN
#define EXPECT_ABORT(stmt)                                                  \
    do {                                                                    \
        if (false) {                                                        \
            stmt;                                                           \
        }                                                                   \
    } while (0)
#else
#define EXPECT_ABORT(stmt)                                                  \
    do {                                                                    \
        int pipe_fds[2];                                                    \
        pid_t pid;                                                          \
                                                                            \
        assert_int_equal(pipe(pipe_fds), 0);                                \
        pid = fork();                                                       \
        if (pid == 0) {                                                     \
            abort_child_setup(pipe_fds[1]);                                 \
            stmt;                                                           \
            _exit(0);                                                       \
        }                                                                   \
        close(pipe_fds[1]);                                                 \
        abort_child_check(pid, pipe_fds[0]);                                \
    } while (0)
#endif

#define BLK_TEST(fn) cmocka_unit_test_setup(fn, medium_reset)

#endif
