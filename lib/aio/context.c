/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AioContext: an event loop, and who runs it.
 *
 * One round of aio_poll():
 *
 *     submit what is queued ─▶ wait (spin a little, then sleep) ─▶ dispatch what is ready
 *       ─▶ woken coroutines ─▶ bottom halves ─▶ timers
 *
 * Bottom halves come after the dispatch, so that work that many requests of a
 * round leave to the end (a reply to each of them) is done once for all.
 *
 * The context's lock is held throughout, except for the sleep.  At most one
 * thread sleeps in an engine: whoever acquires the context and polls it
 * himself first wakes a sleeper out of it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "aio/aio-int.h"
#include "util/thread.h"

#define SPIN_MAX_NS 64000   /* about what waking an idle processor can cost */
#define SPIN_MISSES 8       /* after so many waits in a row that spun in vain, we only sleep; */
#define SPIN_PROBE 16       /* of so many waits that only sleep, one tries spinning again */

static AioContext *main_context;
static atomic_int default_engine;       /* index into engines[]; -1 unset */
static pthread_key_t private_key;
static pthread_once_t private_once = PTHREAD_ONCE_INIT;

/* ---- which context does this thread run? ---- */

static THREAD_LOCAL AioContext *current;

/* Not inlined: a coroutine may continue in another thread, so no caller may
 * keep the address of a thread-local variable over a yield. */
static __attribute__((noinline)) AioContext *get_current(void)
{
    __asm__ volatile("" ::: "memory");
    return current;
}

static __attribute__((noinline)) void set_current(AioContext *ctx)
{
    current = ctx;
    __asm__ volatile("" ::: "memory");
}

static void private_free(void *ctx)
{
    set_current(NULL);
    aio_context_unref(ctx);
}

static void private_init(void)
{
    if (pthread_key_create(&private_key, private_free)) {
        abort();
    }
}

static AioContext *context_create(const AioEngineOps *ops, Error **errp);

static AioContext *private_context(void)
{
    AioContext *ctx;

    pthread_once(&private_once, private_init);
    ctx = pthread_getspecific(private_key);
    if (!ctx) {
        /* Its file I/O blocks, so it only ever waits for timers and wake-ups. */
        ctx = context_create(&aio_engine_epoll, &error_abort);
        ctx->private_to_thread = true;
        pthread_setspecific(private_key, ctx);
    }
    return ctx;
}

AioContext *qemu_get_current_aio_context(void)
{
    AioContext *ctx = get_current();

    if (!ctx) {
        ctx = private_context();
        set_current(ctx);
    }
    return ctx;
}

/* ---- engines ---- */

static const struct {
    const char *name;
    const AioEngineOps *ops;
} engines[] = {
    { "auto", NULL },
#ifdef HAVE_LIBURING
    { "io_uring", &aio_engine_uring },
#endif
    { "threads", &aio_engine_epoll },
};

int aio_set_engine(const char *name, Error **errp)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (strcmp(engines[i].name, name) == 0) {
            if (engines[i].ops) {
                AioContext *probe = context_create(engines[i].ops, errp);

                if (!probe) {
                    return -ENOTSUP;
                }
                aio_context_unref(probe);
            }
            atomic_store(&default_engine, (int)i);
            return 0;
        }
    }
    if (strcmp(name, "io_uring") == 0) {
        error_setg(errp, "This build has no io_uring support; use 'threads'");
        return -ENOTSUP;
    }
    error_setg(errp, "Unknown event loop engine '%s': use 'auto', 'io_uring' or 'threads'", name);
    return -EINVAL;
}

const char *aio_context_engine(AioContext *ctx)
{
    return ctx->ops->name;
}

/* ---- life ---- */

static AioContext *context_create(const AioEngineOps *ops, Error **errp)
{
    AioContext *ctx = calloc(1, sizeof(*ctx));

    if (!ctx) {
        abort();
    }
    ctx->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ctx->event_fd < 0) {
        error_setg_errno(errp, errno, "Could not create an event file descriptor");
        free(ctx);
        return NULL;
    }
    atomic_init(&ctx->refcnt, 1);
    atomic_init(&ctx->spin_max_ns, SPIN_MAX_NS);
    ctx->ops = ops;
    aio_lock_init(ctx);
    pthread_cond_init(&ctx->no_sleepers, NULL);
    pthread_mutex_init(&ctx->timer_lock, NULL);
    TAILQ_INIT(&ctx->handlers);
    TAILQ_INIT(&ctx->dirty);
    STAILQ_INIT(&ctx->bh_slices);
    for (int i = 0; i < AIO_CLOCKS; i++) {
        TAILQ_INIT(&ctx->timers[i]);
    }
    if (ops->init(ctx, errp) < 0) {
        close(ctx->event_fd);
        pthread_mutex_destroy(&ctx->timer_lock);
        pthread_cond_destroy(&ctx->no_sleepers);
        aio_lock_destroy(ctx);
        free(ctx);
        return NULL;
    }
    return ctx;
}

AioContext *aio_context_new(Error **errp)
{
    const AioEngineOps *ops = engines[atomic_load(&default_engine)].ops;

#ifdef HAVE_LIBURING
    if (!ops) {
        AioContext *ctx = context_create(&aio_engine_uring, NULL);

        if (ctx) {
            return ctx;
        }
    }
#endif
    return context_create(ops ? ops : &aio_engine_epoll, errp);
}

void aio_context_ref(AioContext *ctx)
{
    atomic_fetch_add(&ctx->refcnt, 1);
}

static void free_handlers(AioContext *ctx)
{
    AioHandler *h;

    while ((h = TAILQ_FIRST(&ctx->handlers))) {
        aio_handler_free(ctx, h);
    }
}

void aio_context_unref(AioContext *ctx)
{
    if (atomic_fetch_sub(&ctx->refcnt, 1) != 1) {
        return;
    }
    aio_bh_cleanup(ctx);
    ctx->ops->cleanup(ctx);
    free_handlers(ctx);
    close(ctx->event_fd);
    pthread_mutex_destroy(&ctx->timer_lock);
    pthread_cond_destroy(&ctx->no_sleepers);
    aio_lock_destroy(ctx);
    free(ctx);
}

int qemu_init_main_loop(Error **errp)
{
    if (main_context) {
        return 0;
    }
    main_context = aio_context_new(errp);
    if (!main_context) {
        return -ENOMEM;
    }
    set_current(main_context);
    return 0;
}

AioContext *qemu_get_aio_context(void)
{
    return main_context;
}

int main_loop_wait(int nonblocking)
{
    aio_poll(main_context, !nonblocking);
    return 0;
}

bool aio_context_has_runner(AioContext *ctx)
{
    return ctx == main_context || atomic_load(&ctx->pollers) > 0;
}

/* ---- waking ---- */

void aio_notify(AioContext *ctx)
{
    /* Pairs with prepare_to_sleep(): one of the two sees the other's store. */
    atomic_store(&ctx->notified, true);
    if (atomic_load(&ctx->sleeping)) {
        uint64_t one = 1;
        ssize_t ret = write(ctx->event_fd, &one, sizeof(one));

        (void)ret;   /* a full counter is a wake-up too */
    }
}

/*
 * For who has just given the context work: by the time of the notification the
 * work may be done, and the context be dropped by the thread that ran it.
 */
AioContext *aio_hold_for_notify(AioContext *ctx)
{
    if (ctx == get_current()) {
        return NULL;
    }
    aio_context_ref(ctx);
    return ctx;
}

void aio_notify_held(AioContext *held)
{
    if (held) {
        aio_notify(held);
        aio_context_unref(held);
    }
}

void aio_drain_event_fd(AioContext *ctx)
{
    uint64_t count;
    ssize_t ret = read(ctx->event_fd, &count, sizeof(count));

    (void)ret;
}

/* ---- file descriptors ---- */

void aio_handler_set_dirty(AioContext *ctx, AioHandler *handler)
{
    if (!handler->dirty) {
        handler->dirty = true;
        TAILQ_INSERT_TAIL(&ctx->dirty, handler, dirty_link);
    }
}

int aio_handler_wanted(AioContext *ctx, const AioHandler *handler)
{
    if (handler->deleted || (handler->is_external && ctx->external_off)) {
        return 0;
    }
    return (handler->io_read ? POLLIN : 0) | (handler->io_write ? POLLOUT : 0);
}

bool aio_handler_dispatch(AioContext *ctx, AioHandler *handler, int events)
{
    bool progress = false;

    if ((events & (POLLIN | POLLHUP | POLLERR)) && (aio_handler_wanted(ctx, handler) & POLLIN)) {
        handler->io_read(handler->opaque);
        progress = true;
    }
    /* Looked at again: the first callback may have changed or deleted the handler. */
    if ((events & (POLLOUT | POLLHUP | POLLERR)) && (aio_handler_wanted(ctx, handler) & POLLOUT)) {
        handler->io_write(handler->opaque);
        progress = true;
    }
    return progress;
}

static AioHandler *find_handler(AioContext *ctx, int fd)
{
    AioHandler *h;

    TAILQ_FOREACH(h, &ctx->handlers, link) {
        if (h->fd == fd && !h->deleted) {
            return h;
        }
    }
    return NULL;
}

void aio_handler_free(AioContext *ctx, AioHandler *h)
{
    TAILQ_REMOVE(&ctx->handlers, h, link);
    free(h);
}

/* It stays in the list until the engine has let go of it. */
static void remove_handler(AioContext *ctx, AioHandler *h)
{
    if (h->dirty) {
        h->dirty = false;
        TAILQ_REMOVE(&ctx->dirty, h, dirty_link);
    }
    h->deleted = true;
    ctx->ops->forget(ctx, h);
}

void aio_set_fd_handler(AioContext *ctx, int fd, bool is_external,
                        IOHandler *io_read, IOHandler *io_write, void *opaque)
{
    AioHandler *h;

    aio_context_acquire(ctx);
    h = find_handler(ctx, fd);
    if (!io_read && !io_write) {
        if (h) {
            remove_handler(ctx, h);
        }
    } else {
        if (!h) {
            h = calloc(1, sizeof(*h));
            if (!h) {
                abort();
            }
            h->fd = fd;
            TAILQ_INSERT_HEAD(&ctx->handlers, h, link);
        }
        h->is_external = is_external;
        h->io_read = io_read;
        h->io_write = io_write;
        h->opaque = opaque;
        aio_handler_set_dirty(ctx, h);
    }
    aio_context_release(ctx);
    if (get_current() != ctx) {
        aio_notify(ctx);
    }
}

void aio_disable_external(AioContext *ctx)
{
    atomic_fetch_add(&ctx->external_disabled, 1);
    aio_notify(ctx);
}

void aio_enable_external(AioContext *ctx)
{
    atomic_fetch_sub(&ctx->external_disabled, 1);
    aio_notify(ctx);
}

/* Tells the engine about external events having been switched off or on. */
static void update_external(AioContext *ctx)
{
    bool off = atomic_load(&ctx->external_disabled) > 0;
    AioHandler *h;

    if (off != ctx->external_off) {
        ctx->external_off = off;
        TAILQ_FOREACH(h, &ctx->handlers, link) {
            if (h->is_external && !h->deleted) {
                aio_handler_set_dirty(ctx, h);
            }
        }
    }
}

/* ---- coroutines across contexts ---- */

void aio_co_schedule(AioContext *ctx, Coroutine *co)
{
    Coroutine *head = atomic_load(&ctx->scheduled);
    AioContext *held = aio_hold_for_notify(ctx);

    if (atomic_exchange(&co->scheduled, true)) {
        blkbackend_log("a coroutine was woken twice");
        abort();
    }
    do {
        co->next_scheduled = head;
    } while (!atomic_compare_exchange_weak(&ctx->scheduled, &head, co));
    aio_notify_held(held);
}

void aio_co_wake(Coroutine *co)
{
    AioContext *ctx = co->ctx;

    if (ctx != get_current()) {
        aio_co_schedule(ctx, co);
    } else if (qemu_in_coroutine()) {
        coroutine_queue_after_self(qemu_coroutine_self(), co);
    } else {
        qemu_coroutine_enter(co, NULL);
    }
}

AioContext *qemu_coroutine_get_aio_context(Coroutine *co)
{
    return co->ctx;
}

typedef struct StartJob {
    Coroutine *co;
    void *opaque;
} StartJob;

static void start_bh(void *opaque)
{
    StartJob job = *(StartJob *)opaque;

    free(opaque);
    qemu_coroutine_enter(job.co, job.opaque);
}

void aio_co_start(AioContext *ctx, Coroutine *co, void *opaque)
{
    if (ctx == get_current()) {
        qemu_coroutine_enter(co, opaque);
    } else {
        StartJob *job = malloc(sizeof(*job));

        if (!job) {
            abort();
        }
        *job = (StartJob){ .co = co, .opaque = opaque };
        aio_bh_schedule_oneshot(ctx, start_bh, job);
    }
}

static void sleep_timer_cb(void *opaque)
{
    aio_co_wake(opaque);
}

void coroutine_fn qemu_co_sleep_ns(QEMUClockType type, int64_t ns)
{
    QEMUTimer *timer = aio_timer_new(qemu_get_current_aio_context(), type, SCALE_NS,
                                     sleep_timer_cb, qemu_coroutine_self());

    timer_mod_ns(timer, qemu_clock_get_ns(type) + ns);
    qemu_coroutine_yield();
    timer_free(timer);
}

/* Moves what was scheduled to the tail of the ready list, oldest first. */
static void collect_scheduled(AioContext *ctx)
{
    Coroutine *co = atomic_load(&ctx->scheduled) ? atomic_exchange(&ctx->scheduled, NULL) : NULL;
    Coroutine *first = NULL, *last = co;

    while (co) {
        Coroutine *next = co->next_scheduled;

        co->next_scheduled = first;
        first = co;
        co = next;
    }
    if (first) {
        *(ctx->ready_first ? &ctx->ready_last->next_scheduled : &ctx->ready_first) = first;
        ctx->ready_last = last;
    }
}

/* One by one, so that a nested aio_poll() finds the rest. */
static bool enter_scheduled(AioContext *ctx)
{
    bool progress = false;

    collect_scheduled(ctx);
    while (ctx->ready_first) {
        Coroutine *co = ctx->ready_first;

        ctx->ready_first = co->next_scheduled;
        atomic_store(&co->scheduled, false);
        qemu_coroutine_enter(co, NULL);
        progress = true;
    }
    return progress;
}

/* ---- the loop ---- */

/* Work that is in memory already: no need to wait for it. */
static bool work_pending(AioContext *ctx)
{
    return atomic_load(&ctx->notified) || atomic_load(&ctx->scheduled) || ctx->ready_first ||
           aio_bh_pending(ctx);
}

/*
 * Looks for events without sleeping, for at most `limit` ns.  Waking a sleeping
 * processor costs more than most replies take to arrive; the time is adapted
 * so that a loop whose events come slowly soon stops trying.
 */
static bool spin(AioContext *ctx, int64_t limit, int64_t timeout)
{
    int64_t start;

    if (timeout >= 0 && timeout < limit) {
        limit = timeout;
    }
    if (limit <= 0) {
        return false;
    }
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    do {
        for (int i = 0; i < 16; i++) {
            if (ctx->ops->ready(ctx) || work_pending(ctx)) {
                return true;
            }
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#elif defined(__aarch64__)
            __asm__ volatile("yield");
#endif
        }
    } while (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start < limit);
    return false;
}

/* How long to spin this time: all or nothing. */
static int64_t spin_length(AioContext *ctx)
{
    if (ctx->misses >= SPIN_MISSES && ++ctx->sleeps % SPIN_PROBE != 0) {
        return 0;
    }
    return atomic_load_explicit(&ctx->spin_max_ns, memory_order_relaxed);
}

/* Learns from a wait that spun, whether that caught its event. */
static void adapt_spin(AioContext *ctx, bool caught)
{
    if (caught) {
        ctx->misses = 0;
    } else if (ctx->misses < SPIN_MISSES) {
        ctx->misses++;
    }
}

/* Waits until no other thread sleeps here; we hold the context, so none will start to. */
static void become_sleeper(AioContext *ctx)
{
    pthread_mutex_lock(&ctx->lock.mutex);
    while (ctx->sleepers > 0) {
        aio_notify(ctx);
        pthread_cond_wait(&ctx->no_sleepers, &ctx->lock.mutex);
    }
    ctx->sleepers++;
    pthread_mutex_unlock(&ctx->lock.mutex);
}

static void leave_sleep(AioContext *ctx)
{
    pthread_mutex_lock(&ctx->lock.mutex);
    ctx->sleepers--;
    pthread_cond_broadcast(&ctx->no_sleepers);
    pthread_mutex_unlock(&ctx->lock.mutex);
}

/* Sleeps, alone, with the lock given up. */
static void sleep_alone(AioContext *ctx, int64_t timeout)
{
    bool paused;

    become_sleeper(ctx);
    atomic_fetch_add(&ctx->sleeping, 1);
    paused = aio_lock_pause(ctx);
    if (!atomic_load(&ctx->notified)) {      /* pairs with aio_notify() */
        ctx->ops->sleep(ctx, timeout);
    }
    leave_sleep(ctx);
    if (paused) {
        aio_lock_resume(ctx);
    }
    atomic_fetch_sub(&ctx->sleeping, 1);
}

static void wait_for_events(AioContext *ctx)
{
    int64_t timeout, spin_ns;
    bool caught;

    if (ctx->ops->ready(ctx) || work_pending(ctx)) {
        return;
    }
    timeout = aio_timers_deadline_ns(ctx);
    if (timeout == 0) {
        return;
    }
    spin_ns = spin_length(ctx);
    caught = spin(ctx, spin_ns, timeout);
    if (spin_ns > 0) {
        adapt_spin(ctx, caught);
    }
    if (!caught) {
        sleep_alone(ctx, timeout);
    }
}

/*
 * This round was ours, and another thread sleeps here still: it knows nothing of the requests we
 * have queued and the timers we have set, and we may have taken away what was to wake it.
 */
static void wake_sleeper(AioContext *ctx)
{
    ctx->ops->submit(ctx);
    aio_notify(ctx);
}

bool aio_poll(AioContext *ctx, bool blocking)
{
    AioContext *outer = get_current();
    bool progress;

    set_current(ctx);
    atomic_fetch_add(&ctx->pollers, 1);
    aio_context_acquire(ctx);

    update_external(ctx);
    ctx->ops->submit(ctx);
    if (blocking) {
        wait_for_events(ctx);
    }
    atomic_store(&ctx->notified, false);
    progress = ctx->ops->dispatch(ctx);
    progress |= enter_scheduled(ctx);
    progress |= aio_bh_dispatch(ctx);
    progress |= aio_timers_dispatch(ctx);

    /* Who sleeps has begun to under the lock, which we hold: there will not be another. */
    if (atomic_load(&ctx->sleepers) > 0) {
        wake_sleeper(ctx);
    }
    aio_context_release(ctx);
    atomic_fetch_sub(&ctx->pollers, 1);
    set_current(outer);
    return progress;
}

void aio_context_set_poll_ns(AioContext *ctx, int64_t max_ns)
{
    atomic_store(&ctx->spin_max_ns, max_ns < 0 ? 0 : max_ns);
    aio_notify(ctx);
}
