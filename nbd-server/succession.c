/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client that comes back must not be overtaken by its own past: a write that it gave up with an
 * old connection would undo a newer one.  So a connection (the heir) enters transmission only when
 * each older one of the same client (peer_same()) to the same export (an elder)
 *
 *     was closed by its client     and has come to its end: what it had sent is served, for a
 *                                  second; what is left then fails
 *     does not answer (TCP)        and has failed: the other end's kernel is asked, and has two
 *                                  seconds
 *     lives                        and the writes that had come over it by then are done.  Over TCP
 *                                  the client must also have taken a reply since then: a kernel
 *                                  that still sends for a process that is gone takes none.
 *
 * An elder that lives is never ended: when its writes take too long, the heir is refused.  What
 * fails is given up where it waits for --throttle; requests at the image are waited for.
 *
 * Elders of which nothing is under way are let be, and cost a system call; see probation.c for
 * what may come over them later.
 *
 * An elder is looked at in its own thread, where a timer comes again and again while an heir
 * waits; so requests know nothing of this but the list of writes that run.
 */
#include "succession.h"

#include <errno.h>
#include <stdlib.h>

#include "channel.h"
#include "config.h"
#include "conn-int.h"
#include "liveness.h"
#include "peer.h"
#include "probation.h"
#include "throttle.h"

#define LOOK_NS (2 * (int64_t)SCALE_MS)
#define CLOSED_NS (1000 * (int64_t)SCALE_MS)     /* to serve what a closed elder has sent */
#define ANSWER_NS (2000 * (int64_t)SCALE_MS)     /* for its kernel to answer */
#define SETTLE_NS (5000 * (int64_t)SCALE_MS)     /* the heir waits no longer */

struct Heir {
    atomic_uint refs;               /* [atomic] the heir's, each elder's */
    atomic_uint pending;            /* [atomic] elders to wait for */
    AioContext *ctx;                /* [const] the heir's */
    Client *client;                 /* [heir's thread] NULL: it waits no more */
    bool expired;                   /* [heir's thread] */
};

struct Elder {
    Heir *heir;
    Client *client;
    QEMUTimer *timer;
    int64_t since_ns;               /* when it was first looked at */
    bool tcp;
    bool was_busy;                  /* and then it had something to serve ... */
    uint64_t serve_to;              /* ... up to this position in its stream ... */
    int64_t served_ns;              /* ... which was done then; 0: not yet; */
    uint64_t sent;                  /* and this mark, by liveness_sent(), stood then */
    uint64_t asked;                 /* liveness_ask() */
    LIST_ENTRY(Elder) link;         /* of client->elders */
};

/* ---- the heir ---- */

static void heir_unref(Heir *heir)
{
    if (atomic_fetch_sub(&heir->refs, 1) == 1) {
        free(heir);
    }
}

static void heir_wake(void *opaque)
{
    Heir *heir = opaque;

    if (heir->client) {
        client_kick(heir->client);
    }
    heir_unref(heir);
}

/* One elder less, or who counted them: in any thread. */
static void heir_count_down(Heir *heir)
{
    if (atomic_fetch_sub(&heir->pending, 1) == 1) {
        aio_bh_schedule_oneshot(heir->ctx, heir_wake, heir);
    } else {
        heir_unref(heir);
    }
}

static void heir_expire(void *opaque)
{
    Heir *heir = opaque;

    heir->expired = true;
    client_kick(heir->client);
}

bool succession_is_settled(const Client *c)
{
    return c->heir->expired || atomic_load(&c->heir->pending) == 0;
}

/* ---- an elder, in its own thread ---- */

static void elder_done(Elder *e)
{
    LIST_REMOVE(e, link);
    timer_free(e->timer);
    if (e->tcp && LIST_EMPTY(&e->client->elders)) {
        liveness_watch(e->client->conn.fd, e->client->conn.server->config->keepalive);
    }
    heir_count_down(e->heir);
    free(e);
}

/* All that had come by the time of the first look. */
static bool writes_are_done(const Elder *e)
{
    const Client *c = e->client;
    const Request *oldest = TAILQ_FIRST(&c->writes);

    return client_is_idle(c) || (c->rx.consumed >= e->serve_to &&
                                 (!oldest || oldest->position >= e->serve_to));
}

static void note_served(Elder *e, int64_t now)
{
    if (e->served_ns == 0 && writes_are_done(e) &&
        (STAILQ_EMPTY(&e->client->replies) || e->client->tx_blocked)) {
        e->served_ns = now;
        e->sent = e->tcp ? liveness_sent(e->client->conn.fd) : 0;
    }
}

/* What its client owes us to show that it lives, and since when; 0: nothing.  Unix sockets are
 * closed when their process is gone. */
static int64_t answer_due_since(const Elder *e)
{
    const Client *c = e->client;

    if (!e->tcp) {
        return 0;
    }
    if (!liveness_answered(c->conn.fd, e->asked)) {
        return e->since_ns;
    }
    /* What it does not take because it has not taken what came before, it has not closed. */
    return e->served_ns == 0 || !e->was_busy || c->tx_blocked ||
           liveness_taken(c->conn.fd, e->sent) ? 0 : e->served_ns;
}

static void fail(Elder *e, const char *reason)
{
    Conn *conn = &e->client->conn;

    log_msg(LOG_LEVEL_WARNING, conn->export, conn, "cut off: the client has connected anew, and %s",
            reason);
    client_fail(e->client, -ECONNRESET);
}

static void elder_look(void *opaque)
{
    Elder *e = opaque;
    Client *c = e->client;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    bool unread, closed = liveness_closed(c->conn.fd, &unread);

    if (!c->error && !closed) {
        int64_t due_since;

        note_served(e, now);
        due_since = answer_due_since(e);
        if (due_since == 0 && (e->served_ns > 0 || !e->tcp)) {
            probation_lift(c, e->was_busy ? e->since_ns : 0);
            elder_done(e);
            return;
        }
        if (due_since > 0 && now - due_since >= ANSWER_NS) {
            fail(e, "does not answer on this connection");
        }
    } else if (!c->error && now - e->since_ns >= CLOSED_NS) {
        fail(e, "closed this connection");
    }
    if (c->error) {
        throttle_give_up(c, true);      /* or they would run at some time to come */
    }
    timer_mod_ns(e->timer, now + LOOK_NS);
}

/* The heir has just come. */
static void elder_visit(void *opaque)
{
    Elder *e = opaque;
    Client *c = e->client;

    LIST_INSERT_HEAD(&c->elders, e, link);
    e->timer = aio_timer_new(c->conn.ctx, QEMU_CLOCK_REALTIME, SCALE_NS, elder_look, e);
    e->since_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    e->tcp = c->conn.addr.ss_family != AF_UNIX;
    e->serve_to = c->rx.consumed + rx_have(&c->rx) + channel_unread(&c->conn);
    e->was_busy = !client_is_idle(c) || e->serve_to > c->rx.consumed;
    e->asked = e->tcp ? liveness_ask(c->conn.fd) : 0;
    atomic_fetch_sub(&c->visitors, 1);
    elder_look(e);
}

/* ---- coming and going ---- */

void succession_join(Conn *conn)
{
    pthread_mutex_lock(&conn->export->lock);
    throttle_join(conn);
    TAILQ_INSERT_TAIL(&conn->export->conns, conn, export_link);
    pthread_mutex_unlock(&conn->export->lock);
}

void coroutine_fn succession_leave(Conn *conn)
{
    Client *c = client_of(conn);
    Elder *e;

    pthread_mutex_lock(&conn->export->lock);
    TAILQ_REMOVE(&conn->export->conns, conn, export_link);
    stats_add(&conn->export->gone, &c->stats);
    throttle_leave(conn);
    pthread_mutex_unlock(&conn->export->lock);
    while (atomic_load(&c->visitors) > 0) {      /* they are on their way into this thread */
        client_give_way(c);
    }
    export_leave(conn->export);
    while ((e = LIST_FIRST(&c->elders))) {
        elder_done(e);
    }
}

/* [export's lock] Sends for conn, if it is to be waited for. */
static bool summon(Conn *conn, Heir *heir, bool all)
{
    Client *c = client_of(conn);
    bool tcp = conn->addr.ss_family != AF_UNIX;
    bool unread, closed;
    Elder *e;

    if (tcp) {
        probation_announce(c);      /* before we look: what comes later sees it */
    }
    closed = liveness_closed(conn->fd, &unread);
    if (!closed && client_is_idle(c) && !(tcp && (unread || all))) {
        return true;
    }
    e = calloc(1, sizeof(*e));
    if (!e) {
        return false;
    }
    e->heir = heir;
    e->client = c;
    atomic_fetch_add(&heir->refs, 1);
    atomic_fetch_add(&heir->pending, 1);
    atomic_fetch_add(&c->visitors, 1);
    aio_bh_schedule_oneshot(conn->ctx, elder_visit, e);
    return true;
}

/* Those that came before conn: all, if it has not joined yet. */
static bool summon_elders(const Conn *conn, Export *export, Heir *heir, bool all)
{
    Conn *other;
    bool ok = true;

    pthread_mutex_lock(&export->lock);
    TAILQ_FOREACH(other, &export->conns, export_link) {
        if (other == conn || !ok) {
            break;
        }
        if (peer_same(other, conn)) {
            ok = summon(other, heir, all);
        }
    }
    pthread_mutex_unlock(&export->lock);
    return ok;
}

static Heir *heir_new(Client *c)
{
    Heir *heir = calloc(1, sizeof(*heir));

    if (heir) {
        atomic_init(&heir->refs, 2);        /* ours, and who counts down below */
        atomic_init(&heir->pending, 1);
        heir->ctx = c->conn.ctx;
        heir->client = c;
    }
    return heir;
}

static void coroutine_fn wait_for_elders(Client *c, Heir *heir)
{
    QEMUTimer *timer = aio_timer_new(c->conn.ctx, QEMU_CLOCK_REALTIME, SCALE_NS, heir_expire, heir);

    timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + SETTLE_NS);
    c->heir = heir;
    while (!succession_is_settled(c) && !c->error && !c->timed_out && !c->stopping) {
        client_wait(c, WAIT_ELDERS);
    }
    c->heir = NULL;
    timer_free(timer);
}

bool coroutine_fn succession_settle(Conn *conn, Export *export, bool all)
{
    Client *c = client_of(conn);
    Heir *heir = heir_new(c);
    bool ok;

    if (!heir) {
        return false;
    }
    ok = summon_elders(conn, export, heir, all);
    if (ok && atomic_load(&heir->refs) == 2) {
        free(heir);         /* nobody was summoned, or is done already */
        return true;
    }
    heir_count_down(heir);
    if (ok) {
        wait_for_elders(c, heir);
        ok = atomic_load(&heir->pending) == 0;
    }
    heir->client = NULL;
    heir_unref(heir);
    return ok;
}
