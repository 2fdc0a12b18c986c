/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: listens, sees who comes, tells all who are there of events.
 */
#include "qmp-int.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "nbd-server/daemon.h"
#include "nbd-server/peer.h"
#include "nbd-server/unix-socket.h"
#include "common/cleanup.h"
#include "common/xalloc.h"

#define MAX_SESSIONS 64
#define ACCEPT_PAUSE_NS INT64_C(1000000000)
#define MAX_PENDING 4096            /* events of other threads, yet to be seen by the main one */

typedef struct Event {
    const char *name;
    json_t *data;                   /* a reference, or NULL */
    int64_t time_us;
    STAILQ_ENTRY(Event) link;
} Event;

struct QmpServer {
    Server *server;
    pthread_t main_thread;
    UnixSocket socket;
    QEMUTimer *accept_timer;              /* pending: out of descriptors, not accepting */
    QmpSession *sessions[MAX_SESSIONS];   /* NULL: a free place */
    pthread_mutex_t lock;
    STAILQ_HEAD(, Event) pending;         /* lock */
    unsigned n_pending;                   /* lock */
    uint64_t lost;                        /* lock: those that found no room there */
    QEMUBH *bh;                           /* tells those */
};

/* ---- sessions ---- */

/* Says why, if the socket takes it. */
static void refuse(const Conn *peer, Error *err)
{
    QmpText *text = qmp_text_new(qmp_error_reply("GenericError", err, NULL));

    log_peer(LOG_LEVEL_WARNING, peer->peer, "control socket: refused: %s", error_get_pretty(err));
    if (text && send(peer->fd, text->bytes, text->len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        log_peer(LOG_LEVEL_DEBUG, peer->peer, "control socket: was not told why");
    }
    qmp_text_unref(text);
    error_free(err);
    close(peer->fd);
}

static QmpSession **find_place(QmpServer *qmp)
{
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        if (!qmp->sessions[i]) {
            return &qmp->sessions[i];
        }
    }
    return NULL;
}

void qmp_session_gone(QmpSession *session)
{
    QmpServer *qmp = qmp_session_server(session)->qmp;

    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        if (qmp->sessions[i] == session) {
            qmp->sessions[i] = NULL;
        }
    }
}

/* Root and who we are could do to the server what they like without this socket. */
static bool may_connect(const QmpServer *qmp, const Conn *peer)
{
    const AccessRules *rules = &qmp->server->config->qmp_allow;

    return peer->has_cred && (peer->cred.uid == 0 || peer->cred.uid == geteuid() ||
                              (rules->n && access_check(rules, peer) == ACCESS_FULL));
}

static void add_session(QmpServer *qmp, int fd)
{
    QmpSession **place = find_place(qmp);
    /* For who asks who it is; it speaks no NBD. */
    Conn peer = { .server = qmp->server, .fd = fd, .addr.ss_family = AF_UNIX };
    Error *err = NULL;

    peer_identify(&peer);
    if (!may_connect(qmp, &peer)) {
        error_setg(&err, "user %lu may not use this socket", (unsigned long)peer.cred.uid);
        error_append_hint(&err, "--qmp-allow names those who may.\n");
    } else if (!place) {
        error_setg(&err, "%d clients use this socket already", MAX_SESSIONS);
    } else {
        *place = qmp_session_new(qmp->server, fd, &peer.cred);
        if (*place) {
            qmp_session_start(*place);
        }
        return;
    }
    refuse(&peer, err);
}

static void accept_ready(void *opaque);

static void watch(QmpServer *qmp, bool accepting)
{
    aio_set_fd_handler(qemu_get_aio_context(), qmp->socket.fd, false,
                       accepting ? accept_ready : NULL, NULL, qmp);
}

static void resume_accepting(void *opaque)
{
    watch(opaque, true);
}

static void accept_ready(void *opaque)
{
    QmpServer *qmp = opaque;
    int fd = accept4(qmp->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        add_session(qmp, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        watch(qmp, false);      /* or it would be ready for ever */
        timer_mod_ns(qmp->accept_timer,
                     qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + ACCEPT_PAUSE_NS);
    }
}

/* ---- events ---- */

static void tell(QmpServer *qmp, const Event *event)
{
    QmpText *text = qmp_text_new(qmp_event_line(event->name, event->data, event->time_us));

    for (size_t i = 0; i < MAX_SESSIONS && text; i++) {
        if (qmp->sessions[i] && qmp_session_is_ready(qmp->sessions[i])) {
            qmp_session_event(qmp->sessions[i], text);
        }
    }
    qmp_text_unref(text);
}

static void tell_lost(QmpServer *qmp, uint64_t lost)
{
    for (size_t i = 0; i < MAX_SESSIONS && lost; i++) {
        if (qmp->sessions[i] && qmp_session_is_ready(qmp->sessions[i])) {
            qmp_session_lose(qmp->sessions[i], lost);
        }
    }
}

/* *lost: how many were lost behind those that were there. */
static Event *take_pending(QmpServer *qmp, uint64_t *lost)
{
    Event *event;

    pthread_mutex_lock(&qmp->lock);
    event = STAILQ_FIRST(&qmp->pending);
    if (event) {
        STAILQ_REMOVE_HEAD(&qmp->pending, link);
        qmp->n_pending--;
    }
    *lost = event ? 0 : qmp->lost;
    qmp->lost -= *lost;
    pthread_mutex_unlock(&qmp->lock);
    return event;
}

static void tell_pending(void *opaque)
{
    QmpServer *qmp = opaque;
    Event *event;
    uint64_t lost;

    while ((event = take_pending(qmp, &lost))) {
        tell(qmp, event);
        free(event);
    }
    tell_lost(qmp, lost);
}

static void add_pending(QmpServer *qmp, const Event *event)
{
    Event *copy = malloc(sizeof(*copy));
    bool room = false;

    pthread_mutex_lock(&qmp->lock);
    if (copy && qmp->n_pending < MAX_PENDING) {
        *copy = *event;
        STAILQ_INSERT_TAIL(&qmp->pending, copy, link);
        qmp->n_pending++;
        room = true;
    }
    qmp->lost += !room;
    pthread_mutex_unlock(&qmp->lock);
    if (room) {
        qemu_bh_schedule(qmp->bh);
    } else {
        json_decref(event->data);
        free(copy);
    }
}

bool qmp_has_listeners(Server *server)
{
    return atomic_load_explicit(&server->qmp_listeners, memory_order_relaxed) > 0;
}

void qmp_event(Server *server, const char *name, json_t *data)
{
    Event event = { .name = name, .data = data };
    QmpServer *qmp;

    /* In the order of qmp_start(): who sees a listener sees server->qmp. */
    if (!atomic_load_explicit(&server->qmp_listeners, memory_order_acquire)) {
        json_decref(data);
        return;
    }
    qmp = server->qmp;
    event.time_us = qemu_clock_get_ns(QEMU_CLOCK_HOST) / SCALE_US;
    if (pthread_equal(qmp->main_thread, pthread_self())) {
        tell_pending(qmp);        /* which were there first */
        tell(qmp, &event);
    } else {
        add_pending(qmp, &event);
    }
}

/* ---- beginning and end ---- */

/* Rules that name others are worth nothing if the file's mode keeps them out. */
static bool open_socket(QmpServer *qmp, Error **errp)
{
    const Config *config = qmp->server->config;
    mode_t mode = config->qmp_allow.n ? 0666 : 0600;

    if (!unix_socket_open(&qmp->socket, config->qmp, mode, errp)) {
        return false;
    }
    if (!user_give(config->qmp, config->user, config->group, errp)) {
        error_prepend(errp, "control socket \"%s\": ", config->qmp);
        return false;
    }
    qmp->accept_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                      resume_accepting, qmp);
    watch(qmp, true);
    log_msg(LOG_LEVEL_INFO, NULL, NULL, "listening on control socket %s", config->qmp);
    return true;
}

bool qmp_start(Server *server, Error **errp)
{
    QmpServer *qmp;

    if (!server->config->qmp) {
        return true;
    }
    if (!qmp_schema_init(errp)) {
        return false;
    }
    qmp = xcalloc(1, sizeof(*qmp));
    qmp->server = server;
    qmp->main_thread = pthread_self();
    pthread_mutex_init(&qmp->lock, NULL);
    STAILQ_INIT(&qmp->pending);
    qmp->bh = aio_bh_new(qemu_get_aio_context(), tell_pending, qmp);
    server->qmp = qmp;
    return open_socket(qmp, errp);
}

void qmp_stop(Server *server)
{
    QmpServer *qmp = server->qmp;

    if (!qmp || qmp->socket.fd < 0) {
        return;
    }
    watch(qmp, false);
    timer_free(take_ptr(qmp->accept_timer));
    unix_socket_close(&qmp->socket);
    tell_pending(qmp);
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        if (qmp->sessions[i]) {
            qmp_session_stop(qmp->sessions[i]);
        }
    }
}

void qmp_free(Server *server)
{
    QmpServer *qmp = take_ptr(server->qmp);
    Event *event;
    uint64_t lost;

    if (!qmp) {
        return;
    }
    while ((event = take_pending(qmp, &lost))) {
        json_decref(event->data);
        free(event);
    }
    qemu_bh_delete(qmp->bh);
    pthread_mutex_destroy(&qmp->lock);
    free(qmp);
    qmp_schema_free();
}
