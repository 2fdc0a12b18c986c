/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket: listens, sees who comes, tells all who are there of events.
 */
#include "qmp-int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nbd-server/config.h"
#include "nbd-server/unix-socket.h"
#include "common/cleanup.h"
#include "common/xalloc.h"

#define MAX_SESSIONS 64
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
    QmpSession *sessions[MAX_SESSIONS];   /* NULL: a free place */
    pthread_mutex_t lock;
    STAILQ_HEAD(, Event) pending;         /* lock */
    unsigned n_pending;                   /* lock */
    QEMUBH *bh;                           /* tells those */
};

/* ---- sessions ---- */

/* Says why, if the socket takes it. */
static void refuse(int fd, const char *peer, Error *err)
{
    json_t *line = qmp_error_reply("GenericError", err, NULL);
    QmpText *text = qmp_text_new(line);

    log_msg(LOG_LEVEL_WARNING, NULL, NULL, "control socket: %s is refused: %s", peer,
            error_get_pretty(err));
    if (text && send(fd, text->bytes, text->len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        log_msg(LOG_LEVEL_DEBUG, NULL, NULL, "control socket: %s was not told so", peer);
    }
    qmp_text_unref(text);
    error_free(err);
    close(fd);
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

/* Root, and who runs the server: unless rules say otherwise. */
static bool may_connect(const QmpServer *qmp, const struct ucred *peer)
{
    (void)qmp;
    return peer->uid == 0 || peer->uid == geteuid();
}

static void add_session(QmpServer *qmp, int fd)
{
    QmpSession **place = find_place(qmp);
    struct ucred peer;
    socklen_t len = sizeof(peer);
    Error *err = NULL;
    char name[96];

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        close(fd);
        return;
    }
    snprintf(name, sizeof(name), "pid %d uid %u", (int)peer.pid, (unsigned)peer.uid);
    if (!may_connect(qmp, &peer)) {
        error_setg(&err, "user %u may not use this socket", (unsigned)peer.uid);
    } else if (!place) {
        error_setg(&err, "%d clients use this socket already", MAX_SESSIONS);
    } else {
        *place = qmp_session_new(qmp->server, fd, &peer);
        if (*place) {
            qmp_session_start(*place);
        }
        return;
    }
    refuse(fd, name, err);
}

static void accept_ready(void *opaque)
{
    QmpServer *qmp = opaque;
    int fd = accept4(qmp->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        add_session(qmp, fd);
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

static Event *take_pending(QmpServer *qmp)
{
    Event *event;

    pthread_mutex_lock(&qmp->lock);
    event = STAILQ_FIRST(&qmp->pending);
    if (event) {
        STAILQ_REMOVE_HEAD(&qmp->pending, link);
        qmp->n_pending--;
    }
    pthread_mutex_unlock(&qmp->lock);
    return event;
}

static void tell_pending(void *opaque)
{
    QmpServer *qmp = opaque;
    Event *event;

    while ((event = take_pending(qmp))) {
        tell(qmp, event);
        free(event);
    }
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
    QmpServer *qmp = server->qmp;

    if (!qmp_has_listeners(server)) {
        json_decref(data);
        return;
    }
    event.time_us = qemu_clock_get_ns(QEMU_CLOCK_HOST) / SCALE_US;
    if (pthread_equal(qmp->main_thread, pthread_self())) {
        tell_pending(qmp);        /* which were there first */
        tell(qmp, &event);
    } else {
        add_pending(qmp, &event);
    }
}

/* ---- beginning and end ---- */

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
    if (!unix_socket_open(&qmp->socket, server->config->qmp, 0600, errp)) {
        return false;
    }
    aio_set_fd_handler(qemu_get_aio_context(), qmp->socket.fd, false, accept_ready, NULL, qmp);
    log_msg(LOG_LEVEL_INFO, NULL, NULL, "listening on control socket %s", server->config->qmp);
    return true;
}

void qmp_stop(Server *server)
{
    QmpServer *qmp = server->qmp;

    if (!qmp || qmp->socket.fd < 0) {
        return;
    }
    aio_set_fd_handler(qemu_get_aio_context(), qmp->socket.fd, false, NULL, NULL, NULL);
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

    if (!qmp) {
        return;
    }
    while ((event = take_pending(qmp))) {
        json_decref(event->data);
        free(event);
    }
    qemu_bh_delete(qmp->bh);
    pthread_mutex_destroy(&qmp->lock);
    free(qmp);
    qmp_schema_free();
}
