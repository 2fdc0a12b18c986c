/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeping the connections up: a thread with a loop of its own, for each node one.
 *
 *     IDLE ─wanted─▶ DOWN ─timer─▶ CONNECTING ─handshake─▶ UP ─error─▶ LOST ─no users─▶ DOWN
 *                      ▲────────────── failed ──┘
 *
 * libnbd sends in the thread of whoever asks, and closes its socket in whichever thread finds it
 * broken.  So the loop watches a duplicate of the socket: the number that it knows stays ours until
 * we close it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "drivers/nbd.h"

#define PAUSE_MIN_NS (20 * INT64_C(1000000))
#define PAUSE_MAX_NS (NS_PER_SECOND / 2)       /* while nothing works */
#define PAUSE_SPARE_NS (30 * NS_PER_SECOND)    /* while another connection does the work */

static void conn_tend(FarConn *conn);

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

/* ---- what any thread may do ---- */

void far_wake_waiters(BDRVNbdState *s)
{
    FarWaiterList list = STAILQ_HEAD_INITIALIZER(list);
    FarWaiter *w;

    pthread_mutex_lock(&s->lock);
    STAILQ_CONCAT(&list, &s->waiters);
    pthread_mutex_unlock(&s->lock);
    while ((w = STAILQ_FIRST(&list))) {
        STAILQ_REMOVE_HEAD(&list, link);   /* before it is woken: it lies on the waiter's stack */
        aio_co_wake(w->co);
    }
}

void far_lose(FarConn *conn, unsigned generation)
{
    BDRVNbdState *s = conn->s;

    if (conn->state != FAR_UP || conn->generation != generation) {
        return;
    }
    conn->state = FAR_LOST;
    s->n_up--;
    if (s->n_up == 0 && s->set.reconnect_ns == 0) {
        s->failing = true;
    }
    qemu_bh_schedule(s->work);
}

/* ---- watching a socket (from here on: the thread) ---- */

static void on_readable(void *opaque);
static void on_writable(void *opaque);

static void unwatch(FarConn *conn)
{
    if (conn->fd >= 0) {
        aio_set_fd_handler(conn->s->ctx, conn->fd, false, NULL, NULL, NULL);
        close(conn->fd);
        conn->fd = -1;
    }
    conn->watched = 0;
}

static int watch(FarConn *conn)
{
    unsigned direction = nbd_aio_get_direction(conn->h);

    if (conn->fd < 0) {
        conn->fd = fcntl(nbd_aio_get_fd(conn->h), F_DUPFD_CLOEXEC, 0);
        if (conn->fd < 0) {
            return -errno;
        }
    }
    if (direction != conn->watched && direction != 0) {
        aio_set_fd_handler(conn->s->ctx, conn->fd, false,
                           direction & LIBNBD_AIO_DIRECTION_READ ? on_readable : NULL,
                           direction & LIBNBD_AIO_DIRECTION_WRITE ? on_writable : NULL, conn);
        conn->watched = direction;
    }
    return 0;
}

/* ---- from one state to the next ---- */

/* What the connection is now, and whether it is to be kept up. */
static FarConnState conn_state(FarConn *conn, bool *wanted)
{
    FarConnState state;

    pthread_mutex_lock(&conn->s->lock);
    state = conn->state;
    *wanted = conn - conn->s->conns < conn->s->n_wanted;
    pthread_mutex_unlock(&conn->s->lock);
    return state;
}

static void conn_set_state(FarConn *conn, FarConnState state)
{
    pthread_mutex_lock(&conn->s->lock);
    conn->state = state;
    pthread_mutex_unlock(&conn->s->lock);
}

/* The next attempt comes later than the last one did. */
static void conn_retry(FarConn *conn)
{
    BDRVNbdState *s = conn->s;
    int64_t max;

    pthread_mutex_lock(&s->lock);
    conn->state = FAR_DOWN;
    max = s->n_up > 0 ? PAUSE_SPARE_NS : PAUSE_MAX_NS;
    pthread_mutex_unlock(&s->lock);
    timer_mod_ns(conn->timer, now_ns() + (conn->pause_ns < max ? conn->pause_ns : max));
    conn->pause_ns = conn->pause_ns < PAUSE_SPARE_NS ? 2 * conn->pause_ns : PAUSE_SPARE_NS;
}

/* Nobody else uses the handle. */
static void conn_close_handle(FarConn *conn)
{
    struct nbd_handle *h;

    unwatch(conn);
    pthread_mutex_lock(&conn->s->lock);
    h = conn->h;
    conn->h = NULL;
    pthread_mutex_unlock(&conn->s->lock);
    nbd_close(h);
}

static void conn_connect(FarConn *conn)
{
    struct nbd_handle *h = far_connect_start(&conn->s->set, NULL);

    if (!h) {
        conn_retry(conn);
        return;
    }
    pthread_mutex_lock(&conn->s->lock);
    conn->h = h;
    conn->generation++;
    conn->state = FAR_CONNECTING;
    pthread_mutex_unlock(&conn->s->lock);
    timer_mod_ns(conn->timer, now_ns() + FAR_HANDSHAKE_NS);
    conn_tend(conn);
}

static void conn_fail_handshake(FarConn *conn)
{
    timer_del(conn->timer);
    conn_close_handle(conn);
    conn_retry(conn);
}

/* Says what has changed for the worse since the node was opened: what needs it will fail. */
static void report_changes(const BDRVNbdState *s, const FarInfo *now)
{
    const char *name = s->set.name;

    if (now->size < atomic_load(&s->size) && now->size < s->info.size) {
        blkbackend_log("NBD export '%s' came back with %" PRId64 " bytes instead of %" PRId64
                       ": requests beyond fail", name, now->size, s->info.size);
    }
    if (now->read_only && !s->info.read_only) {
        blkbackend_log("NBD export '%s' came back read-only: writes fail", name);
    }
    if (now->min_block > s->info.min_block) {
        blkbackend_log("NBD export '%s' came back with blocks of %" PRId64 " bytes: requests that "
                       "are smaller fail", name, now->min_block);
    }
}

/* A server that is not the one we knew may want one connection only. */
static void lose_others(BDRVNbdState *s)
{
    s->n_wanted = 1;
    for (int i = 1; i < FAR_CONNECTIONS_MAX; i++) {
        far_lose(&s->conns[i], s->conns[i].generation);
    }
}

/* Under the lock: whether this connection may be used beside others. */
static bool may_join(FarConn *conn, const FarInfo *info)
{
    if (!info->multi_conn) {
        lose_others(conn->s);
    }
    return conn - conn->s->conns < conn->s->n_wanted;
}

static void conn_up(FarConn *conn)
{
    BDRVNbdState *s = conn->s;
    FarInfo info = far_get_info(conn->h);
    bool joins, first;

    timer_del(conn->timer);
    conn->pause_ns = PAUSE_MIN_NS;
    pthread_mutex_lock(&s->lock);
    joins = may_join(conn, &info);
    first = joins && s->n_up == 0;
    if (joins) {
        conn->info = info;
        conn->state = FAR_UP;
        s->n_up++;
        s->failing = false;
    } else {
        conn->state = FAR_LOST;
    }
    pthread_mutex_unlock(&s->lock);
    if (first) {
        timer_del(s->give_up);
        s->told_lost = false;
        blkbackend_log("NBD export '%s': connected again", s->set.name);
        report_changes(s, &info);
    }
    if (joins && info.size > atomic_load(&s->size)) {
        atomic_store(&s->size, info.size);
    }
    far_wake_waiters(s);
    conn_tend(conn);
}

/* The last connection has gone. */
static void start_waiting(BDRVNbdState *s, bool failing)
{
    s->told_lost = true;
    if (failing) {
        blkbackend_log("NBD export '%s': the connection was lost; requests fail until it is back",
                       s->set.name);
    } else {
        blkbackend_log("NBD export '%s': the connection was lost; requests wait %" PRId64
                       " s for it", s->set.name, s->set.reconnect_ns / NS_PER_SECOND);
        timer_mod_ns(s->give_up, now_ns() + s->set.reconnect_ns);
    }
}

static void conn_close_lost(FarConn *conn)
{
    BDRVNbdState *s = conn->s;
    bool busy, last, wanted, failing;

    pthread_mutex_lock(&s->lock);
    busy = conn->users > 0;      /* the last of them schedules us again */
    last = s->n_up == 0;
    failing = s->failing;
    wanted = conn - s->conns < s->n_wanted;
    pthread_mutex_unlock(&s->lock);
    if (busy) {
        return;
    }
    conn_close_handle(conn);
    if (last && !s->told_lost) {
        start_waiting(s, failing);
    }
    if (wanted) {
        conn_retry(conn);
    } else {
        conn_set_state(conn, FAR_IDLE);
    }
}

static void conn_tend_up(FarConn *conn)
{
    if (far_is_dead(conn->h) || watch(conn) < 0) {
        pthread_mutex_lock(&conn->s->lock);
        far_lose(conn, conn->generation);
        pthread_mutex_unlock(&conn->s->lock);
        conn_close_lost(conn);
    }
}

static void conn_tend_connecting(FarConn *conn)
{
    if (nbd_aio_is_ready(conn->h) == 1) {
        conn_up(conn);
    } else if (far_is_dead(conn->h) || watch(conn) < 0) {
        conn_fail_handshake(conn);
    }
}

/* Does what the connection's state asks for. */
static void conn_tend(FarConn *conn)
{
    bool wanted;

    switch (conn_state(conn, &wanted)) {
    case FAR_IDLE:
        if (wanted) {
            conn_connect(conn);
        }
        break;
    case FAR_DOWN:               /* its timer does */
        break;
    case FAR_CONNECTING:
        conn_tend_connecting(conn);
        break;
    case FAR_UP:
        conn_tend_up(conn);
        break;
    case FAR_LOST:
        conn_close_lost(conn);
        break;
    }
}

/* ---- events ---- */

/* While it connects, libnbd goes from address to address, each with a socket of its own. */
static void notify(FarConn *conn, int (*tell)(struct nbd_handle *))
{
    bool connecting = nbd_aio_is_connecting(conn->h) == 1;

    if (connecting) {
        unwatch(conn);
    }
    tell(conn->h);
    conn_tend(conn);
}

static void on_readable(void *opaque)
{
    FarConn *conn = opaque;

    if (nbd_aio_get_direction(conn->h) & LIBNBD_AIO_DIRECTION_READ) {
        notify(conn, nbd_aio_notify_read);
    } else {
        conn_tend(conn);
    }
}

static void on_writable(void *opaque)
{
    FarConn *conn = opaque;

    if (nbd_aio_get_direction(conn->h) & LIBNBD_AIO_DIRECTION_WRITE) {
        notify(conn, nbd_aio_notify_write);
    } else {
        conn_tend(conn);
    }
}

static void on_timer(void *opaque)
{
    FarConn *conn = opaque;
    bool wanted;
    FarConnState state = conn_state(conn, &wanted);

    if (state == FAR_CONNECTING) {
        conn_fail_handshake(conn);
    } else if (state == FAR_DOWN && wanted) {
        conn_connect(conn);
    } else if (state == FAR_DOWN) {
        conn_set_state(conn, FAR_IDLE);
    }
}

static void on_give_up(void *opaque)
{
    BDRVNbdState *s = opaque;
    bool failing;

    pthread_mutex_lock(&s->lock);
    failing = s->failing = s->n_up == 0;
    pthread_mutex_unlock(&s->lock);
    if (failing) {
        blkbackend_log("NBD export '%s' did not come back in time: requests fail until it does",
                       s->set.name);
        far_wake_waiters(s);
    }
}

static void on_work(void *opaque)
{
    BDRVNbdState *s = opaque;

    for (int i = 0; i < FAR_CONNECTIONS_MAX; i++) {
        conn_tend(&s->conns[i]);
    }
}

/* ---- the thread ---- */

static void *link_thread(void *opaque)
{
    BDRVNbdState *s = opaque;

    on_work(s);
    while (!atomic_load(&s->quit)) {
        aio_poll(s->ctx, true);
    }
    for (int i = 0; i < FAR_CONNECTIONS_MAX; i++) {
        FarConn *conn = &s->conns[i];

        timer_free(conn->timer);
        unwatch(conn);
        if (conn->state == FAR_UP) {
            far_disconnect(conn->h);
        } else {
            nbd_close(conn->h);
        }
    }
    timer_free(s->give_up);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(BDRVNbdState *s)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&s->thread, NULL, link_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -ret;
}

static void link_init(BDRVNbdState *s, struct nbd_handle *first)
{
    pthread_mutex_init(&s->lock, NULL);
    STAILQ_INIT(&s->waiters);
    LIST_INIT(&s->changes);
    s->work = aio_bh_new(s->ctx, on_work, s);
    s->give_up = aio_timer_new(s->ctx, QEMU_CLOCK_REALTIME, SCALE_NS, on_give_up, s);
    for (int i = 0; i < FAR_CONNECTIONS_MAX; i++) {
        s->conns[i] = (FarConn){ .s = s, .fd = -1, .pause_ns = PAUSE_MIN_NS };
        s->conns[i].timer = aio_timer_new(s->ctx, QEMU_CLOCK_REALTIME, SCALE_NS, on_timer,
                                          &s->conns[i]);
    }
    s->conns[0].h = first;
    s->conns[0].state = FAR_UP;
    s->conns[0].info = s->info = far_get_info(first);
    s->n_wanted = s->n_up = 1;
    atomic_init(&s->size, s->info.size);
}

static void link_destroy(BDRVNbdState *s)
{
    qemu_bh_delete(s->work);
    pthread_mutex_destroy(&s->lock);
    aio_context_unref(s->ctx);
}

int far_link_start(BDRVNbdState *s, struct nbd_handle *first, Error **errp)
{
    int ret;

    s->ctx = aio_context_new(errp);
    if (!s->ctx) {
        nbd_close(first);
        return -ENOMEM;
    }
    link_init(s, first);
    ret = start_thread(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not start a thread for NBD export '%s'", s->set.name);
        for (int i = 0; i < FAR_CONNECTIONS_MAX; i++) {
            timer_free(s->conns[i].timer);
        }
        timer_free(s->give_up);
        nbd_close(first);
        link_destroy(s);
    }
    return ret;
}

void far_link_stop(BDRVNbdState *s)
{
    atomic_store(&s->quit, true);
    aio_notify(s->ctx);
    pthread_join(s->thread, NULL);
    link_destroy(s);
}
