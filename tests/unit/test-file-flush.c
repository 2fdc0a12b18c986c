/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flushes that fail stay failed; flushes that come together share one fdatasync.
 *
 * This program has its own fdatasync(), pwrite() and pwritev2().  They are called where
 * there is no ring: in threads that run no loop, and in the pool of a context
 * with the engine "threads".
 */
#include "driver-test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static atomic_int sync_calls, sync_errno, dsync_errno, write_errno;
static sem_t *sync_gate;        /* if set, the next fdatasync waits for it */

static int fail_with(int error)
{
    errno = error;
    return -1;
}

int fdatasync(int fd)
{
    sem_t *gate = sync_gate;
    int error = atomic_load(&sync_errno);

    if (atomic_fetch_add(&sync_calls, 1) == 0 && gate) {
        sem_wait(gate);
    }
    return error ? fail_with(error) : (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int niov, off_t offset, int flags)
{
    int error = atomic_load(flags & RWF_DSYNC ? &dsync_errno : &write_errno);

    return error ? fail_with(error)
                 : syscall(SYS_pwritev2, fd, iov, niov, (unsigned long)offset, 0UL, flags);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    int error = atomic_load(&write_errno);

    return error ? fail_with(error) : syscall(SYS_pwrite64, fd, buf, len, offset);
}

static int test_reset(void **state)
{
    (void)state;
    atomic_store(&sync_calls, 0);
    atomic_store(&sync_errno, 0);
    atomic_store(&dsync_errno, 0);
    atomic_store(&write_errno, 0);
    sync_gate = NULL;
    return 0;
}

/* ---- requests from a thread that runs no loop ---- */

typedef struct Call {
    BlockBackend *blk;
    int flags;
    int ret;
} Call;

static void *flush_run(void *opaque)
{
    Call *call = opaque;

    call->ret = blk_flush(call->blk);
    return NULL;
}

static int in_a_thread(void *(*fn)(void *), Call *call)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fn, call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return call->ret;
}

static int flush(BlockBackend *blk)
{
    return in_a_thread(flush_run, &(Call){ .blk = blk });
}

static void coroutine_fn write_entry(void *opaque)
{
    Call *call = opaque;
    static uint8_t buf[4096];
    struct iovec iov = { buf, sizeof(buf) };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    call->ret = blk_co_pwritev(call->blk, 0, sizeof(buf), &qiov, (BdrvRequestFlags)call->flags);
}

static void *write_run(void *opaque)
{
    Call *call = opaque;

    call->ret = -EINPROGRESS;
    aio_co_start(qemu_get_current_aio_context(), qemu_coroutine_create(write_entry), call);
    while (call->ret == -EINPROGRESS) {
        aio_poll(qemu_get_current_aio_context(), true);
    }
    return NULL;
}

static int write_with(BlockBackend *blk, int flags)
{
    return in_a_thread(write_run, &(Call){ .blk = blk, .flags = flags });
}

/* ---- a flush that fails ---- */

static void failed_flush_stays_failed(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    assert_int_equal(flush(blk), 0);
    atomic_store(&sync_errno, EDQUOT);
    assert_int_equal(flush(blk), -EDQUOT);
    atomic_store(&sync_errno, 0);
    assert_int_equal(flush(blk), -EDQUOT);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), -EDQUOT);
    assert_int_equal(write_with(blk, 0), 0);
    assert_int_equal(flush(blk), -EDQUOT);
    blk_unref(blk);
    blk = open_file(&file, RDWR);
    assert_int_equal(flush(blk), 0);    /* opened anew: what can be read is what there is */
    blk_unref(blk);
    test_file_remove(&file);
}

static void without_the_page_cache_a_later_flush_may_succeed(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR | BDRV_O_NOCACHE);
    atomic_store(&sync_errno, EIO);
    assert_int_equal(flush(blk), -EIO);
    atomic_store(&sync_errno, 0);
    assert_int_equal(flush(blk), 0);
    blk_unref(blk);
    test_file_remove(&file);
}

static void failed_fua_write_spoils_later_flushes(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), 0);
    assert_int_equal(atomic_load(&sync_calls), 0);     /* done by the write itself */
    atomic_store(&dsync_errno, EIO);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), -EIO);
    atomic_store(&dsync_errno, 0);
    assert_int_equal(flush(blk), -EIO);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), -EIO);
    blk_unref(blk);
    test_file_remove(&file);
}

static void full_disk_spoils_nothing(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    atomic_store(&dsync_errno, ENOSPC);
    atomic_store(&write_errno, ENOSPC);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), -ENOSPC);
    assert_int_equal(write_with(blk, 0), -ENOSPC);
    atomic_store(&dsync_errno, 0);
    atomic_store(&write_errno, 0);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), 0);
    assert_int_equal(flush(blk), 0);
    blk_unref(blk);
    test_file_remove(&file);
}

static void without_rwf_dsync_a_flush_makes_up(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    atomic_store(&dsync_errno, EOPNOTSUPP);
    assert_int_equal(write_with(blk, BDRV_REQ_FUA), 0);
    assert_int_equal(atomic_load(&sync_calls), 1);
    blk_unref(blk);
    test_file_remove(&file);
}

/* ---- flushes that come together ---- */

#define FLUSHES 20

typedef struct Together {
    BlockBackend *blk;
    int begun, ended, failed;
} Together;

static void coroutine_fn flush_entry(void *opaque)
{
    Together *t = opaque;

    t->begun++;
    t->failed += blk_co_flush(t->blk) != 0;
    t->ended++;
}

static void flushes_share_one_fdatasync(void **state)
{
    Together t = { 0 };
    AioContext *ctx;
    TestFile file;
    sem_t gate;

    (void)state;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(aio_set_engine("threads", &error_abort), 0);
    ctx = aio_context_new(&error_abort);
    test_file_make(&file, ON_DISK, MIB);
    t.blk = open_file(&file, RDWR);
    sync_gate = &gate;
    for (int i = 0; i < FLUSHES; i++) {
        aio_co_start(ctx, qemu_coroutine_create(flush_entry), &t);
    }
    while (t.begun < FLUSHES) {
        aio_poll(ctx, true);
    }
    /* One is in fdatasync, all others have come after it began. */
    assert_int_equal(t.ended, 0);
    sem_post(&gate);
    while (t.ended < FLUSHES) {
        aio_poll(ctx, true);
    }
    assert_int_equal(t.failed, 0);
    assert_int_equal(atomic_load(&sync_calls), 2);
    sync_gate = NULL;
    blk_unref(t.blk);
    aio_context_unref(ctx);
    test_file_remove(&file);
    sem_destroy(&gate);
}

#define FLUSH_TEST(fn) cmocka_unit_test_setup(fn, test_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLUSH_TEST(failed_flush_stays_failed),
        FLUSH_TEST(without_the_page_cache_a_later_flush_may_succeed),
        FLUSH_TEST(failed_fua_write_spoils_later_flushes),
        FLUSH_TEST(full_disk_spoils_nothing),
        FLUSH_TEST(without_rwf_dsync_a_flush_makes_up),
        FLUSH_TEST(flushes_share_one_fdatasync),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
