/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The io_uring engine: file requests, readiness of sockets and wake-ups all
 * come out of one ring, for one system call a round.
 *
 * Readiness is one-shot polls, armed anew before each wait: that gives
 * level-triggered handlers and costs a queue entry, not a system call.
 * Reading and writing readiness are polled apart, so that a writer that comes
 * and goes does not disturb the reader.
 *
 * What a completion is for is in its user_data: the address of an
 * AioFileRequest or an AioHandler with a tag in the low bits.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "aio/aio-int.h"

#define RING_ENTRIES 256
#define RING_CQ_ENTRIES 4096

enum { TAG_FILE, TAG_POLL_IN, TAG_POLL_OUT, TAG_EVENT_FD, TAG_IGNORE, TAG_MASK = 7 };

struct AioEngine {
    struct io_uring ring;
    bool event_fd_armed;
};

static int make_ring(struct io_uring *ring, unsigned flags, unsigned *features)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | flags,
        .cq_entries = RING_CQ_ENTRIES,
    };
    int ret = io_uring_queue_init_params(RING_ENTRIES, ring, &params);

    *features = params.features;
    return ret;
}

static int uring_init(AioContext *ctx, Error **errp)
{
    unsigned features;
    AioEngine *e = calloc(1, sizeof(*e));
    int ret;

    if (!e) {
        abort();
    }
    /* Completions wait until we enter the kernel anyway, instead of interrupting us: since 5.19. */
    ret = make_ring(&e->ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, &features);
    if (ret == -EINVAL) {
        ret = make_ring(&e->ring, 0, &features);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "The kernel refuses io_uring");
        error_append_hint(errp, "Use the engine 'threads', or allow io_uring "
                          "(kernel.io_uring_disabled, the container's seccomp profile).");
        free(e);
        return ret;
    }
    if (!(features & IORING_FEAT_EXT_ARG)) {
        error_setg(errp, "The kernel's io_uring is too old (it cannot wait with a time-out)");
        io_uring_queue_exit(&e->ring);
        free(e);
        return -ENOTSUP;
    }
    ctx->engine = e;
    return 0;
}

static void uring_cleanup(AioContext *ctx)
{
    io_uring_queue_exit(&ctx->engine->ring);
    free(ctx->engine);
}

/* ---- submission ---- */

static struct io_uring_sqe *get_sqe(AioEngine *e)
{
    struct io_uring_sqe *sqe;

    while (!(sqe = io_uring_get_sqe(&e->ring))) {
        io_uring_submit(&e->ring);
    }
    return sqe;
}

static void set_user_data(struct io_uring_sqe *sqe, void *ptr, unsigned tag)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)ptr | tag);
}

static void arm(AioEngine *e, AioHandler *h, int event, unsigned tag)
{
    struct io_uring_sqe *sqe = get_sqe(e);

    io_uring_prep_poll_add(sqe, h->fd, (unsigned)event);
    set_user_data(sqe, h, tag);
    h->armed |= event;
    h->outstanding++;
}

static void disarm(AioEngine *e, AioHandler *h, unsigned tag)
{
    struct io_uring_sqe *sqe = get_sqe(e);

    io_uring_prep_poll_remove(sqe, (uint64_t)(uintptr_t)h | tag);
    set_user_data(sqe, NULL, TAG_IGNORE);
}

/* A poll that is armed but no longer wanted is left to fire unheard. */
static void arm_wanted(AioContext *ctx)
{
    AioEngine *e = ctx->engine;
    AioHandler *h;

    while ((h = TAILQ_FIRST(&ctx->dirty))) {
        int missing = aio_handler_wanted(ctx, h) & ~h->armed;

        TAILQ_REMOVE(&ctx->dirty, h, dirty_link);
        h->dirty = false;
        if (missing & POLLIN) {
            arm(e, h, POLLIN, TAG_POLL_IN);
        }
        if (missing & POLLOUT) {
            arm(e, h, POLLOUT, TAG_POLL_OUT);
        }
    }
    if (!e->event_fd_armed) {
        struct io_uring_sqe *sqe = get_sqe(e);

        io_uring_prep_poll_add(sqe, ctx->event_fd, POLLIN);
        set_user_data(sqe, NULL, TAG_EVENT_FD);
        e->event_fd_armed = true;
    }
}

static void uring_submit(AioContext *ctx)
{
    AioEngine *e = ctx->engine;

    arm_wanted(ctx);
    if (io_uring_sq_ready(&e->ring) > 0) {
        io_uring_submit(&e->ring);
    }
}

static void uring_forget(AioContext *ctx, AioHandler *h)
{
    AioEngine *e = ctx->engine;

    if (h->armed & POLLIN) {
        disarm(e, h, TAG_POLL_IN);
    }
    if (h->armed & POLLOUT) {
        disarm(e, h, TAG_POLL_OUT);
    }
    if (h->outstanding == 0) {
        aio_handler_free(ctx, h);
    } else {
        /* At once: the armed poll keeps the file open, and its owner is about to close it. */
        io_uring_submit(&e->ring);
    }
}

static void uring_queue_file(AioContext *ctx, AioFileRequest *req)
{
    struct io_uring_sqe *sqe = get_sqe(ctx->engine);

    switch (req->type) {
    case AIO_FILE_READ:
        if (req->niov == 1) {
            io_uring_prep_read(sqe, req->fd, req->iov->iov_base, (unsigned)req->iov->iov_len,
                               (uint64_t)req->offset);
        } else {
            io_uring_prep_readv(sqe, req->fd, req->iov, (unsigned)req->niov,
                                (uint64_t)req->offset);
        }
        break;
    case AIO_FILE_WRITE:
        if (req->niov == 1) {
            io_uring_prep_write(sqe, req->fd, req->iov->iov_base, (unsigned)req->iov->iov_len,
                                (uint64_t)req->offset);
        } else {
            io_uring_prep_writev(sqe, req->fd, req->iov, (unsigned)req->niov,
                                 (uint64_t)req->offset);
        }
        sqe->rw_flags = req->flags;
        break;
    case AIO_FILE_FDATASYNC:
        io_uring_prep_fsync(sqe, req->fd, IORING_FSYNC_DATASYNC);
        break;
    case AIO_FILE_FALLOCATE:
        io_uring_prep_fallocate(sqe, req->fd, req->flags, req->offset, req->len);
        break;
    }
    set_user_data(sqe, req, TAG_FILE);
}

/* ---- waiting and completion ---- */

static bool uring_ready(AioContext *ctx)
{
    struct io_uring *ring = &ctx->engine->ring;

    return io_uring_cq_ready(ring) > 0 ||
           (IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

static void uring_sleep(AioContext *ctx, int64_t timeout_ns)
{
    struct __kernel_timespec ts = {
        .tv_sec = timeout_ns / 1000000000,
        .tv_nsec = timeout_ns % 1000000000,
    };
    struct io_uring_cqe *cqe;

    /* Everything was submitted before: this only waits, touching no queue of ours. */
    io_uring_wait_cqes(&ctx->engine->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
}

static bool poll_completed(AioContext *ctx, AioHandler *h, int event, int res)
{
    bool progress = false;

    h->armed &= ~event;
    h->outstanding--;
    if (h->deleted) {
        if (h->outstanding == 0) {
            aio_handler_free(ctx, h);
        }
        return false;
    }
    aio_handler_set_dirty(ctx, h);
    if (res > 0) {
        /* Only this direction: errors and hang-ups count as ready for whoever asked. */
        progress = aio_handler_dispatch(ctx, h, event);
    }
    return progress;
}

static bool complete(AioContext *ctx, uint64_t user_data, int res)
{
    void *ptr = (void *)(uintptr_t)(user_data & ~(uint64_t)TAG_MASK);

    switch (user_data & TAG_MASK) {
    case TAG_FILE: {
        AioFileRequest *req = ptr;

        req->ret = res;
        aio_co_wake(req->co);
        return true;
    }
    case TAG_POLL_IN:
        return poll_completed(ctx, ptr, POLLIN, res);
    case TAG_POLL_OUT:
        return poll_completed(ctx, ptr, POLLOUT, res);
    case TAG_EVENT_FD:
        ctx->engine->event_fd_armed = false;
        aio_drain_event_fd(ctx);
        return false;
    default:
        return false;
    }
}

static bool uring_dispatch(AioContext *ctx)
{
    struct io_uring *ring = &ctx->engine->ring;
    struct io_uring_cqe *cqe;
    bool progress = false;
    unsigned n;

    if (IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) {
        io_uring_get_events(ring);
    }
    /* Each is taken off before it is handled: a handler may poll this context itself. */
    for (n = io_uring_cq_ready(ring); n > 0 && io_uring_peek_cqe(ring, &cqe) == 0; n--) {
        uint64_t user_data = cqe->user_data;
        int res = cqe->res;

        io_uring_cqe_seen(ring, cqe);
        progress |= complete(ctx, user_data, res);
    }
    return progress;
}

const AioEngineOps aio_engine_uring = {
    .name = "io_uring",
    .init = uring_init,
    .cleanup = uring_cleanup,
    .submit = uring_submit,
    .ready = uring_ready,
    .sleep = uring_sleep,
    .dispatch = uring_dispatch,
    .forget = uring_forget,
    .queue_file = uring_queue_file,
};
