/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fallback engine, where the kernel or a container forbids io_uring: epoll
 * for readiness and wake-ups; file requests go to the thread pool.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "aio/aio-int.h"

#define EVENTS_A_ROUND 128

struct AioEngine {
    int epoll_fd;
    struct epoll_event events[EVENTS_A_ROUND];
    int n_events;                /* collected by ready(); those from next_event on */
    int next_event;              /* are not dispatched yet */
};

static int epoll_init(AioContext *ctx, Error **errp)
{
    AioEngine *e = calloc(1, sizeof(*e));
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

    if (!e) {
        abort();
    }
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll_fd < 0 || epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, ctx->event_fd, &ev) < 0) {
        int err = errno;

        error_setg_errno(errp, err, "Could not set up epoll");
        if (e->epoll_fd >= 0) {
            close(e->epoll_fd);
        }
        free(e);
        return -err;
    }
    ctx->engine = e;
    return 0;
}

static void epoll_cleanup(AioContext *ctx)
{
    close(ctx->engine->epoll_fd);
    free(ctx->engine);
}

static void update(AioContext *ctx, AioHandler *h)
{
    int wanted = aio_handler_wanted(ctx, h);
    struct epoll_event ev = {
        .events = (wanted & POLLIN ? (unsigned)EPOLLIN : 0u) |
                  (wanted & POLLOUT ? (unsigned)EPOLLOUT : 0u),
        .data.ptr = h,
    };

    if (wanted != h->armed) {
        int op = !wanted ? EPOLL_CTL_DEL : h->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

        epoll_ctl(ctx->engine->epoll_fd, op, h->fd, &ev);
        h->armed = wanted;
    }
}

static void epoll_submit(AioContext *ctx)
{
    AioHandler *h;

    while ((h = TAILQ_FIRST(&ctx->dirty))) {
        TAILQ_REMOVE(&ctx->dirty, h, dirty_link);
        h->dirty = false;
        update(ctx, h);
    }
}

static void epoll_forget(AioContext *ctx, AioHandler *h)
{
    AioEngine *e = ctx->engine;

    update(ctx, h);              /* deleted: wants nothing */
    for (int i = e->next_event; i < e->n_events; i++) {
        if (e->events[i].data.ptr == h) {
            e->events[i].events = 0;
            e->events[i].data.ptr = NULL;
        }
    }
    if (h->outstanding == 0) {
        aio_handler_free(ctx, h);
    }
}

/* epoll_pwait2() has been there since Linux 5.11; before it, milliseconds must do. */
static int wait_events(AioEngine *e, struct epoll_event *events, int max, int64_t timeout_ns)
{
    struct timespec ts = {
        .tv_sec = timeout_ns / 1000000000,
        .tv_nsec = timeout_ns % 1000000000,
    };
    int n = epoll_pwait2(e->epoll_fd, events, max, timeout_ns < 0 ? NULL : &ts, NULL);

    if (n < 0 && errno == ENOSYS) {
        int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;

        n = epoll_wait(e->epoll_fd, events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    return n > 0 ? n : 0;
}

static bool epoll_ready(AioContext *ctx)
{
    AioEngine *e = ctx->engine;

    if (e->next_event == e->n_events) {
        e->n_events = wait_events(e, e->events, EVENTS_A_ROUND, 0);
        e->next_event = 0;
    }
    return e->next_event < e->n_events;
}

static void epoll_sleep(AioContext *ctx, int64_t timeout_ns)
{
    struct epoll_event left_in_kernel;

    /* The lock is not held: what there is, dispatch collects. */
    wait_events(ctx->engine, &left_in_kernel, 1, timeout_ns);
}

/* The handler may be deleted by its own callback: it is freed when the last call is over. */
static bool dispatch_handler(AioContext *ctx, AioHandler *h, unsigned ready)
{
    int events = (ready & EPOLLIN ? POLLIN : 0) | (ready & EPOLLOUT ? POLLOUT : 0) |
                 (ready & (EPOLLHUP | EPOLLERR) ? POLLHUP : 0);
    bool progress;

    h->outstanding++;
    progress = aio_handler_dispatch(ctx, h, events);
    if (--h->outstanding == 0 && h->deleted) {
        aio_handler_free(ctx, h);
    }
    return progress;
}

static bool epoll_dispatch(AioContext *ctx)
{
    AioEngine *e = ctx->engine;
    bool progress = false;

    if (!epoll_ready(ctx)) {
        return false;
    }
    /* The position is kept in the engine: a handler may poll this context itself. */
    while (e->next_event < e->n_events) {
        struct epoll_event ev = e->events[e->next_event++];

        if (ev.data.ptr) {
            progress |= dispatch_handler(ctx, ev.data.ptr, ev.events);
        } else if (ev.events) {
            aio_drain_event_fd(ctx);
        }
    }
    return progress;
}

const AioEngineOps aio_engine_epoll = {
    .name = "threads",
    .init = epoll_init,
    .cleanup = epoll_cleanup,
    .submit = epoll_submit,
    .ready = epoll_ready,
    .sleep = epoll_sleep,
    .dispatch = epoll_dispatch,
    .forget = epoll_forget,
};
