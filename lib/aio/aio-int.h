/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An AioContext from the inside (lib/aio; lib/graph uses the last section). */
#ifndef BLKBACKEND_AIO_INT_H
#define BLKBACKEND_AIO_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <blkbackend/aio.h>

#include "aio/coroutine-int.h"

typedef struct AioEngine AioEngine;

/* A watched file descriptor.  Owned by its context; touched under the context's lock. */
typedef struct AioHandler {
    int fd;
    bool is_external;
    bool deleted;                /* freed once the engine has let go of it */
    IOHandler *io_read, *io_write;
    void *opaque;
    /* The engine's own: */
    int armed;                   /* POLLIN/POLLOUT bits that the kernel is watching for us */
    int outstanding;             /* uses of its address: polls in the kernel, calls on the stack */
    TAILQ_ENTRY(AioHandler) link;
    TAILQ_ENTRY(AioHandler) dirty_link;
    bool dirty;                  /* what we want and what is armed may differ */
} AioHandler;

typedef TAILQ_HEAD(AioHandlerList, AioHandler) AioHandlerList;

/* One request on a ring; lives on the stack of the coroutine that waits for it. */
typedef struct AioFileRequest {
    enum { AIO_FILE_READ, AIO_FILE_WRITE, AIO_FILE_FDATASYNC, AIO_FILE_FALLOCATE } type;
    int fd;
    const struct iovec *iov;
    int niov;
    int flags;                   /* RWF_* of a write, mode of a fallocate */
    int64_t offset, len;
    Coroutine *co;
    int ret;
} AioFileRequest;

/*
 * What waits and what does file I/O.  All but sleep() run under the context's
 * lock; sleep() runs without it, in at most one thread at a time.
 */
typedef struct AioEngineOps {
    const char *name;
    int (*init)(AioContext *ctx, Error **errp);
    void (*cleanup)(AioContext *ctx);
    /* Hands to the kernel what is queued: file requests, changed handlers. */
    void (*submit)(AioContext *ctx);
    /* Cheap look, no system call where possible: is anything to dispatch? */
    bool (*ready)(AioContext *ctx);
    /* Sleeps until something is ready or timeout_ns (-1: for ever) has passed. */
    void (*sleep)(AioContext *ctx, int64_t timeout_ns);
    /* Runs handlers and completes requests that are ready; true if any ran. */
    bool (*dispatch)(AioContext *ctx);
    /* The handler is deleted: stop watching; free it now or when the kernel lets go. */
    void (*forget)(AioContext *ctx, AioHandler *handler);
    /* Queues a file request (its coroutine yields next); NULL: use the thread pool. */
    void (*queue_file)(AioContext *ctx, AioFileRequest *req);
} AioEngineOps;

extern const AioEngineOps aio_engine_epoll;
#ifdef HAVE_LIBURING
extern const AioEngineOps aio_engine_uring;
#endif

/* Recursive, FIFO-fair; a waiter wakes the context so that its loop gives way. */
typedef struct AioLock {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned next_ticket, serving;
    pthread_t owner;
    unsigned depth;              /* 0: free */
} AioLock;

typedef struct BhSlice {
    QEMUBH *first;
    STAILQ_ENTRY(BhSlice) link;
} BhSlice;

#define AIO_CLOCKS (QEMU_CLOCK_HOST + 1)
typedef TAILQ_HEAD(QEMUTimerList, QEMUTimer) QEMUTimerList;

struct AioContext {
    atomic_int refcnt;
    AioLock lock;
    atomic_int sleepers;         /* threads inside ops->sleep(), at most 1; set under lock.mutex */
    pthread_cond_t no_sleepers;
    const AioEngineOps *ops;
    AioEngine *engine;           /* the ops' own data */
    bool private_to_thread;      /* made for synchronous calls: file I/O may block */

    /* Under the lock. */
    AioHandlerList handlers, dirty;
    bool external_off;           /* what the engine was last told */
    unsigned misses;             /* waits in a row that spun in vain, up to a bound */
    unsigned sleeps;             /* waits that did not spin */
    STAILQ_HEAD(, BhSlice) bh_slices;
    Coroutine *ready_first, *ready_last;  /* scheduled coroutines that this round enters */

    /* Shared, atomic. */
    atomic_int pollers;          /* threads inside aio_poll() */
    atomic_int external_disabled;
    atomic_bool notified;        /* aio_notify() since the loop last looked */
    atomic_int sleeping;         /* > 0: a notification must be written to event_fd */
    _Atomic int64_t spin_max_ns;
    _Atomic(QEMUBH *) bh_list;   /* pending bottom halves, newest first */
    _Atomic(Coroutine *) scheduled; /* coroutines to enter, newest first */

    int event_fd;

    pthread_mutex_t timer_lock;
    QEMUTimerList timers[AIO_CLOCKS];  /* by deadline, see timer.c */
    atomic_int n_timers;
};

/* context.c */
void aio_handler_set_dirty(AioContext *ctx, AioHandler *handler);
int aio_handler_wanted(AioContext *ctx, const AioHandler *handler);  /* POLLIN | POLLOUT */
void aio_handler_free(AioContext *ctx, AioHandler *handler);
bool aio_handler_dispatch(AioContext *ctx, AioHandler *handler, int events);
void aio_drain_event_fd(AioContext *ctx);
/* Around giving ctx work: NULL if this thread runs it, which needs no waking. */
AioContext *aio_hold_for_notify(AioContext *ctx);
void aio_notify_held(AioContext *held);

/* context-lock.c */
void aio_lock_init(AioContext *ctx);
void aio_lock_destroy(AioContext *ctx);
/* Gives the lock up completely while it sleeps; only if it was taken `depth` == 1 deep. */
bool aio_lock_pause(AioContext *ctx);
void aio_lock_resume(AioContext *ctx);

/* bh.c */
bool aio_bh_pending(AioContext *ctx);
bool aio_bh_dispatch(AioContext *ctx);
void aio_bh_cleanup(AioContext *ctx);

/* timer.c */
int64_t aio_timers_deadline_ns(AioContext *ctx);   /* ns from now; -1: none armed */
bool aio_timers_dispatch(AioContext *ctx);

/* ---- for lib/graph's waiting ---- */

bool aio_context_held_by_me(AioContext *ctx);
/* A thread is inside aio_poll(ctx) (or it is the main context, which has one by definition). */
bool aio_context_has_runner(AioContext *ctx);

#endif
