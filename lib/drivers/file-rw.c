/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads, writes and flushes of a file.
 *
 * A failed flush.  When fdatasync fails with the page cache in use, Linux marks
 * the pages that it could not write as clean: the data is gone, yet the next
 * fdatasync succeeds.  So after a failure no flush and no FUA write succeeds
 * until the file is closed; else a client would take for safe what is lost.
 * With O_DIRECT there is no such cache, and a later flush tells the truth.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "aio/file-io.h"
#include "drivers/file.h"

#include <blkbackend/block-backend.h>

/* ---- system calls ---- */

static ssize_t write_in_place(BDRVFileState *s, QEMUIOVector *qiov, int64_t offset)
{
    ssize_t ret = qiov->niov == 1
                  ? pwrite(s->fd, qiov->iov->iov_base, qiov->iov->iov_len, offset)
                  : pwritev(s->fd, qiov->iov, qiov->niov, offset);

    return ret < 0 ? -errno : ret;
}

static ssize_t read_in_place(BDRVFileState *s, QEMUIOVector *qiov, int64_t offset, int rw_flags)
{
    ssize_t ret = qiov->niov == 1 && !rw_flags
                  ? pread(s->fd, qiov->iov->iov_base, qiov->iov->iov_len, offset)
                  : preadv2(s->fd, qiov->iov, qiov->niov, offset, rw_flags);

    return ret < 0 ? -errno : ret;
}

/*
 * So much data in memory that copying them is work for another processor: the
 * ring would do it in place, and so should we.
 */
#define ASIDE_MIN (1u << 20)                        /* bytes */

static bool goes_aside(const BDRVFileState *s, const QEMUIOVector *qiov)
{
    return qiov->size >= ASIDE_MIN && !s->direct;
}

/*
 * A read that the page cache can answer: a ring does it in place by itself; for
 * the thread pool we try, and hand over what would have to wait.
 */
static ssize_t coroutine_fn file_call_read(BDRVFileState *s, QEMUIOVector *qiov, int64_t offset)
{
    ssize_t ret;

    if (goes_aside(s, qiov)) {
        return aio_co_preadv_aside(s->fd, qiov->iov, qiov->niov, offset);
    }
    if (s->inline_io) {
        return read_in_place(s, qiov, offset, 0);
    }
    if (!s->direct && !aio_co_has_ring()) {
        ret = read_in_place(s, qiov, offset, RWF_NOWAIT);
        if (ret == (ssize_t)qiov->size) {
            return ret;
        }
    }
    return aio_co_preadv(s->fd, qiov->iov, qiov->niov, offset);
}

/*
 * A write into the page cache is a copy, which takes less time than handing it
 * to a worker; and that is what a ring does with each.  So it is done in place,
 * as long as it is quick.  A write that had to wait (for room, for the
 * journal, for the rest of a page) stalls all that this thread serves; after
 * one, workers write for a while, and for twice as long after the next.
 */
#define QUICK_WRITE_MAX (256u << 10)               /* bytes */
#define QUICK_WRITE_NS (500 * (int64_t)SCALE_US)
#define SLOW_MIN_NS (1000 * (int64_t)SCALE_MS)
#define SLOW_MAX_NS (32 * SLOW_MIN_NS)

static ssize_t write_quickly(BDRVFileState *s, QEMUIOVector *qiov, int64_t offset, int64_t now)
{
    ssize_t ret = write_in_place(s, qiov, offset);
    int64_t end = qemu_clock_get_ns(QEMU_CLOCK_REALTIME), slow_for;

    if (end - now > QUICK_WRITE_NS) {
        slow_for = 2 * atomic_load(&s->slow_for_ns);
        slow_for = slow_for < SLOW_MIN_NS ? SLOW_MIN_NS : slow_for;
        slow_for = slow_for > SLOW_MAX_NS ? SLOW_MAX_NS : slow_for;
        atomic_store(&s->slow_for_ns, slow_for);
        atomic_store(&s->slow_until_ns, end + slow_for);
    } else if (now - atomic_load_explicit(&s->slow_until_ns, memory_order_relaxed) > SLOW_MAX_NS) {
        atomic_store_explicit(&s->slow_for_ns, 0, memory_order_relaxed);
    }
    return ret;
}

static ssize_t coroutine_fn file_call_write(BDRVFileState *s, QEMUIOVector *qiov, int64_t offset,
                                            int rw_flags)
{
    if (goes_aside(s, qiov)) {
        return aio_co_pwritev_aside(s->fd, qiov->iov, qiov->niov, offset, rw_flags);
    }
    if (s->inline_io) {
        return write_in_place(s, qiov, offset);
    }
    if (!s->direct && !rw_flags && qiov->size <= QUICK_WRITE_MAX) {
        int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

        if (now >= atomic_load_explicit(&s->slow_until_ns, memory_order_relaxed)) {
            return write_quickly(s, qiov, offset, now);
        }
    }
    return aio_co_pwritev(s->fd, qiov->iov, qiov->niov, offset, rw_flags);
}

/* ---- all of a request, however often the kernel stops short ---- */

typedef struct FileRequest {
    BDRVFileState *s;
    int64_t offset;
    QEMUIOVector *qiov;
    bool is_write;
    int rw_flags;
} FileRequest;

static ssize_t coroutine_fn file_call(const FileRequest *req, QEMUIOVector *qiov, int64_t offset)
{
    return req->is_write ? file_call_write(req->s, qiov, offset, req->rw_flags)
                         : file_call_read(req->s, qiov, offset);
}

/* With O_DIRECT a transfer ends inside a block only where the file does. */
static bool file_stopped_at_end(BDRVFileState *s, int64_t offset)
{
    return s->direct && offset % s->request_alignment != 0;
}

/* After the first call, which answered ret: the rest. */
static int coroutine_fn __attribute__((noinline))
file_request_rest(const FileRequest *req, ssize_t ret)
{
    size_t size = req->qiov->size, done = 0;
    QEMUIOVector rest;

    qemu_iovec_init(&rest, req->qiov->niov);
    for (;;) {
        if (ret > 0) {
            done += (size_t)ret;
        }
        if (done == size || (ret < 0 && ret != -EINTR && ret != -EAGAIN)) {
            break;
        }
        if (ret == 0 || (ret > 0 && file_stopped_at_end(req->s, req->offset + (int64_t)done))) {
            if (req->is_write) {
                ret = -EINVAL;
            } else {
                ret = 0;
                qemu_iovec_memset(req->qiov, done, 0, size - done);
            }
            break;
        }
        qemu_iovec_reset(&rest);
        qemu_iovec_concat(&rest, req->qiov, done, size - done);
        ret = file_call(req, &rest, req->offset + (int64_t)done);
    }
    qemu_iovec_destroy(&rest);
    return ret < 0 ? (int)ret : 0;
}

static int coroutine_fn file_request(const FileRequest *req)
{
    ssize_t ret = file_call(req, req->qiov, req->offset);

    return ret == (ssize_t)req->qiov->size ? 0 : file_request_rest(req, ret);
}

/* ---- flush ---- */

static int coroutine_fn file_sync(BDRVFileState *s)
{
    int ret, none = 0;

    do {
        ret = aio_co_fdatasync(s->fd);
    } while (ret == -EINTR);
    if (ret < 0 && !s->direct) {
        atomic_compare_exchange_strong(&s->flush_error, &none, -ret);
    }
    return ret;
}

/*
 * A fdatasync covers all that was written before it began.  Who comes while one
 * runs may have written after that, so he needs the next; but all who wait for
 * the next share it.
 */
static int coroutine_fn file_sync_shared(BDRVFileState *s)
{
    FileFlush *flush = &s->flush;
    uint64_t wanted;
    int ret;

    qemu_co_mutex_lock(&flush->lock);
    wanted = flush->started + 1;
    while (flush->finished < wanted && flush->started > flush->finished) {
        qemu_co_queue_wait_locked(&flush->waiters, &flush->lock);
    }
    if (flush->finished >= wanted) {
        ret = flush->result;
        qemu_co_mutex_unlock(&flush->lock);
        return ret;
    }
    flush->started++;
    qemu_co_mutex_unlock(&flush->lock);

    ret = file_sync(s);

    qemu_co_mutex_lock(&flush->lock);
    flush->finished = flush->started;
    flush->result = ret;
    qemu_co_queue_restart_all(&flush->waiters);
    qemu_co_mutex_unlock(&flush->lock);
    return ret;
}

int coroutine_fn file_co_flush(BlockDriverState *bs)
{
    BDRVFileState *s = bdrv_state(bs);
    int ret = 0;

    if (s->inline_io) {
        return 0;   /* memory has no stable storage to flush to */
    }
    if (!atomic_load(&s->flush_error)) {
        ret = file_sync_shared(s);
    }
    /* Also if another's flush failed meanwhile: it may have been our data. */
    return atomic_load(&s->flush_error) ? -atomic_load(&s->flush_error) : ret;
}

/* ---- reads and writes ---- */

int coroutine_fn file_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, int flags)
{
    FileRequest req = { .s = bdrv_state(bs), .offset = offset, .qiov = qiov };

    (void)bytes;
    (void)flags;
    return file_request(&req);
}

/*
 * A failed FUA write does not say which half failed: the write, which is this
 * request's business alone, or the flush, which is everybody's.  A plain write
 * tells: if it succeeds, it was the flush.
 */
static int coroutine_fn file_fua_failed(BlockDriverState *bs, FileRequest *req, int error)
{
    BDRVFileState *s = req->s;
    int ret, none = 0;

    req->rw_flags = 0;
    ret = file_request(req);
    if (ret < 0) {
        return ret;
    }
    if (error == -EOPNOTSUPP || s->direct) {
        return file_co_flush(bs);
    }
    atomic_compare_exchange_strong(&s->flush_error, &none, -error);
    return error;
}

int coroutine_fn file_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags)
{
    BDRVFileState *s = bdrv_state(bs);
    FileRequest req = { .s = s, .offset = offset, .qiov = qiov, .is_write = true };
    int ret;

    (void)bytes;
    if (!(flags & BDRV_REQ_FUA) || s->inline_io) {
        return file_request(&req);
    }
    if (atomic_load(&s->flush_error)) {
        return -atomic_load(&s->flush_error);
    }
    req.rw_flags = RWF_DSYNC;
    ret = file_request(&req);
    return ret < 0 ? file_fua_failed(bs, &req, ret) : 0;
}
