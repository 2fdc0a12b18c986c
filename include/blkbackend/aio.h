/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event loops.  An AioContext is a loop that one thread runs by calling
 * aio_poll() again and again; the main context belongs to the thread that
 * called qemu_init_main_loop().
 *
 * Threads, unless a line says otherwise: functions marked [any] may be called
 * from every thread, the others in the thread that runs the context or while
 * holding it with aio_context_acquire().
 */
#ifndef BLKBACKEND_AIO_H
#define BLKBACKEND_AIO_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/coroutine.h>
#include <blkbackend/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct AioContext AioContext;
typedef struct QEMUBH QEMUBH;
typedef struct QEMUTimer QEMUTimer;
typedef void IOHandler(void *opaque);
typedef void QEMUBHFunc(void *opaque);
typedef void QEMUTimerCB(void *opaque);

/* ---- main loop ---- */

/* Makes the main context; a second call succeeds and does nothing.  0 or -errno. */
int qemu_init_main_loop(Error **errp);
AioContext *qemu_get_aio_context(void);         /* [any] the main context, never freed */
int main_loop_wait(int nonblocking);            /* one aio_poll() of the main context; 0 */

/* [any] The context that the calling thread is running now: the main context in
 * the main thread, the polled one inside aio_poll(), else one private to the thread. */
AioContext *qemu_get_current_aio_context(void);

/* ---- contexts ---- */

/*
 * "io_uring", "threads" (epoll and a thread pool) or "auto" (io_uring where the
 * kernel allows it; the default).  Applies to contexts made afterwards; call it
 * first of all.  -ENOTSUP with errp set if the kernel refuses io_uring.
 */
int aio_set_engine(const char *name, Error **errp);
const char *aio_context_engine(AioContext *ctx);  /* [any] "io_uring" or "threads" */

AioContext *aio_context_new(Error **errp);        /* [any] one reference, caller's */
void aio_context_ref(AioContext *ctx);            /* [any] */
void aio_context_unref(AioContext *ctx);          /* [any] the last one frees it */
/* [any] Excludes other acquirers and the context's own loop.  Recursive, FIFO-fair;
 * a waiter wakes the loop so that it gives way. */
void aio_context_acquire(AioContext *ctx);
void aio_context_release(AioContext *ctx);

/* Runs what is due; if nothing is and `blocking`, sleeps until something is.
 * True if a handler, timer, bottom half or coroutine ran.  A wake-up alone is not progress. */
bool aio_poll(AioContext *ctx, bool blocking);
void aio_notify(AioContext *ctx);                 /* [any] makes a sleeping aio_poll() return */

/*
 * Watches fd (level-triggered).  Both handlers NULL: stop watching, which must
 * happen before fd is closed.  is_external: comes from outside (a client's
 * socket); not called while external events are disabled.
 */
void aio_set_fd_handler(AioContext *ctx, int fd, bool is_external,
                        IOHandler *io_read, IOHandler *io_write, void *opaque);
void aio_disable_external(AioContext *ctx);       /* [any] counted */
void aio_enable_external(AioContext *ctx);        /* [any] */

/* How long the loop looks for the next event before it sleeps, in ns (it stops looking where
 * that does not pay; default 64000; 0: it always sleeps at once). */
void aio_context_set_poll_ns(AioContext *ctx, int64_t max_ns);  /* [any] */

/* ---- bottom halves ---- */

QEMUBH *aio_bh_new(AioContext *ctx, QEMUBHFunc *cb, void *opaque);  /* [any] */
void qemu_bh_schedule(QEMUBH *bh);   /* [any] runs once, in the next round of the loop */
void qemu_bh_cancel(QEMUBH *bh);     /* [any] */
void qemu_bh_delete(QEMUBH *bh);     /* [any] cancels; bh is dead afterwards */
/* [any] A bottom half that runs once and frees itself. */
void aio_bh_schedule_oneshot(AioContext *ctx, QEMUBHFunc *cb, void *opaque);

/* ---- timers ---- */

typedef enum { QEMU_CLOCK_REALTIME = 0, QEMU_CLOCK_VIRTUAL = 1, QEMU_CLOCK_HOST = 2 } QEMUClockType;
#define SCALE_MS 1000000
#define SCALE_US 1000
#define SCALE_NS 1

/* [any] ns.  REALTIME is monotonic; VIRTUAL is the replaceable clock; HOST is wall time. */
int64_t qemu_clock_get_ns(QEMUClockType type);
/* Replaces QEMU_CLOCK_VIRTUAL (throttling, accounting); NULL: back to the monotonic clock.
 * After the clock was moved, call aio_notify() on the contexts whose timers wait for it. */
void blkbackend_set_clock(int64_t (*now_ns)(void *opaque), void *opaque);

QEMUTimer *aio_timer_new(AioContext *ctx, QEMUClockType type, int scale,
                         QEMUTimerCB *cb, void *opaque);
void timer_mod(QEMUTimer *timer, int64_t expire_time);     /* in units of scale, absolute */
void timer_mod_ns(QEMUTimer *timer, int64_t expire_time);  /* ns, absolute */
void timer_del(QEMUTimer *timer);                          /* disarms */
void timer_free(QEMUTimer *timer);                         /* disarms and frees; NULL is fine */
bool timer_pending(QEMUTimer *timer);

/* ---- coroutines across contexts ---- */

/* [any] Continues a coroutine that yielded (or is about to), in its own context. */
void aio_co_wake(Coroutine *co);
/* [any] Starts a new or continues a yielded coroutine in ctx. */
void aio_co_schedule(AioContext *ctx, Coroutine *co);
/* [any] Runs co (new) in ctx: at once if this thread runs ctx, else scheduled. */
void aio_co_start(AioContext *ctx, Coroutine *co, void *opaque);
AioContext *qemu_coroutine_get_aio_context(Coroutine *co);
/* Sleeps ns of the given clock in the current context. */
void coroutine_fn qemu_co_sleep_ns(QEMUClockType type, int64_t ns);
/* Runs fn(arg) in a worker thread and returns its result. */
int coroutine_fn aio_co_run_in_thread(int (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
