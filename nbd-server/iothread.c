/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * I/O threads: each runs one event loop, and in it the connections it was given.
 *
 * The main thread sends work into a loop as bottom halves; connections that end
 * tell the main loop the same way.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/xalloc.h"

struct IoThread {
    Server *server;                /* [const] */
    AioContext *ctx;               /* [const] */
    pthread_t id;                  /* [const] */
    atomic_uint n_conns;           /* [atomic] given to it and not yet gone */
    bool stop;                     /* [thread] leave the loop */
    atomic_bool winding_down;      /* [atomic] set by the thread: new connections come too late */
    TAILQ_HEAD(, Conn) conns;      /* [thread] */
};

/* ---- the thread ---- */

static void *iothread_run(void *opaque)
{
    IoThread *thread = opaque;

    while (!thread->stop) {
        aio_poll(thread->ctx, true);
    }
    return NULL;
}

static void stop_loop(void *opaque)
{
    IoThread *thread = opaque;

    thread->stop = true;
}

static IoThread *iothread_new(Server *server, Error **errp)
{
    IoThread *thread = xcalloc(1, sizeof(*thread));
    int ret;

    thread->server = server;
    TAILQ_INIT(&thread->conns);
    thread->ctx = aio_context_new(errp);
    if (!thread->ctx) {
        free(thread);
        return NULL;
    }
    ret = pthread_create(&thread->id, NULL, iothread_run, thread);
    if (ret != 0) {
        error_setg_errno(errp, ret, "cannot start an I/O thread");
        aio_context_unref(thread->ctx);
        free(thread);
        return NULL;
    }
    return thread;
}

static void iothread_free(IoThread *thread)
{
    aio_bh_schedule_oneshot(thread->ctx, stop_loop, thread);
    pthread_join(thread->id, NULL);
    aio_context_unref(thread->ctx);
    free(thread);
}

bool iothreads_start(Server *server, Error **errp)
{
    server->threads = xcalloc(server->config->threads, sizeof(server->threads[0]));
    for (unsigned i = 0; i < server->config->threads; i++) {
        server->threads[i] = iothread_new(server, errp);
        if (!server->threads[i]) {
            iothreads_stop(server);
            return false;
        }
        server->n_threads++;
    }
    return true;
}

void iothreads_stop(Server *server)
{
    for (unsigned i = 0; i < server->n_threads; i++) {
        iothread_free(server->threads[i]);
    }
    server->n_threads = 0;
    free(server->threads);
    server->threads = NULL;
}

/* ---- connections ---- */

/* A client on its way from the main thread to its own. */
typedef struct {
    IoThread *thread;
    int fd;
    socklen_t addr_len;
    struct sockaddr_storage addr;
} NewClient;

static void client_left(void *opaque)
{
    server_client_left(opaque);
}

/* The count goes down last: once it is 0 the main thread may end this one. */
static void drop_place(IoThread *thread)
{
    Server *server = thread->server;

    atomic_fetch_sub(&thread->n_conns, 1);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), client_left, server);
}

static void add_client(void *opaque)
{
    NewClient *client = opaque;
    IoThread *thread = client->thread;
    Conn *conn = NULL;

    if (thread->winding_down) {
        close(client->fd);
    } else {
        conn = conn_new(thread->server, thread, thread->ctx, client->fd, &client->addr,
                        client->addr_len);
    }
    free(client);
    if (!conn) {
        drop_place(thread);
        return;
    }
    TAILQ_INSERT_TAIL(&thread->conns, conn, link);
    conn_start(conn);
}

static IoThread *least_busy(Server *server)
{
    IoThread *best = server->threads[0];

    for (unsigned i = 1; i < server->n_threads; i++) {
        if (server->threads[i]->n_conns < best->n_conns) {
            best = server->threads[i];
        }
    }
    return best;
}

void server_add_client(Server *server, int fd, const struct sockaddr_storage *addr,
                       socklen_t addr_len)
{
    IoThread *thread = least_busy(server);
    NewClient *client = malloc(sizeof(*client));

    if (!client) {
        close(fd);
        return;
    }
    client->thread = thread;
    client->fd = fd;
    client->addr = *addr;
    client->addr_len = addr_len;
    atomic_fetch_add(&thread->n_conns, 1);
    aio_bh_schedule_oneshot(thread->ctx, add_client, client);
}

void iothread_conn_gone(Conn *conn)
{
    IoThread *thread = conn->thread;

    if (conn->export) {
        export_unref(conn->export);
    }
    TAILQ_REMOVE(&thread->conns, conn, link);
    drop_place(thread);
}

unsigned iothreads_connections(Server *server)
{
    unsigned n = 0;

    for (unsigned i = 0; i < server->n_threads; i++) {
        n += server->threads[i]->n_conns;
    }
    return n;
}

/* The call may end that connection, and so take it off the list; it ends no other. */
static void for_each_conn(IoThread *thread, void (*call)(Conn *conn))
{
    Conn *conn, *next;

    for (conn = TAILQ_FIRST(&thread->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, link);
        call(conn);
    }
}

static void shutdown_conns(void *opaque)
{
    IoThread *thread = opaque;

    for_each_conn(thread, conn_shutdown);
    atomic_store(&thread->winding_down, true);
    aio_notify(qemu_get_aio_context());     /* the main thread waits for the flag */
}

static void abort_conns(void *opaque)
{
    for_each_conn(opaque, conn_abort);
}

static void call_in_threads(Server *server, QEMUBHFunc *call)
{
    for (unsigned i = 0; i < server->n_threads; i++) {
        aio_bh_schedule_oneshot(server->threads[i]->ctx, call, server->threads[i]);
    }
}

void iothreads_shutdown_conns(Server *server)
{
    call_in_threads(server, shutdown_conns);
}

bool iothreads_winding_down(Server *server)
{
    for (unsigned i = 0; i < server->n_threads; i++) {
        if (!atomic_load(&server->threads[i]->winding_down)) {
            return false;
        }
    }
    return true;
}

static void watch_conns(void *opaque)
{
    for_each_conn(opaque, conn_watch);
}

static void press_conns(void *opaque)
{
    for_each_conn(opaque, conn_press);
}

void iothreads_watch_conns(Server *server)
{
    call_in_threads(server, watch_conns);
}

void iothreads_press_conns(Server *server)
{
    call_in_threads(server, press_conns);
}

void iothreads_abort_conns(Server *server)
{
    call_in_threads(server, abort_conns);
}

/* A call for each connection of a thread, while the main thread waits. */
typedef struct {
    IoThread *thread;
    void (*func)(Conn *conn, void *opaque);
    void *opaque;
    atomic_bool done;
} Visit;

static void run_visit(void *opaque)
{
    Visit *visit = opaque;
    Conn *conn, *next;

    for (conn = TAILQ_FIRST(&visit->thread->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, link);
        visit->func(conn, visit->opaque);
    }
    atomic_store(&visit->done, true);
    aio_notify(qemu_get_aio_context());     /* visit may be gone by now */
}

/* One after the other: so func needs no lock for what opaque is. */
void iothreads_visit(Server *server, void (*func)(Conn *conn, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < server->n_threads; i++) {
        Visit visit = { .thread = server->threads[i], .func = func, .opaque = opaque };

        aio_bh_schedule_oneshot(visit.thread->ctx, run_visit, &visit);
        while (!atomic_load(&visit.done)) {
            main_loop_wait(false);
        }
    }
}

static void visit_nobody(Conn *conn, void *opaque)
{
    (void)conn;
    (void)opaque;
}

void iothreads_synchronize(Server *server)
{
    iothreads_visit(server, visit_nobody, NULL);
}

/* ---- connections of one export ---- */

/* A call for each connection of an export, on its way to a thread. */
typedef struct {
    IoThread *thread;
    Export *export;                /* a reference */
    void (*call)(Conn *conn);
} ExportCall;

static void run_export_call(void *opaque)
{
    ExportCall *c = opaque;
    Conn *conn, *next;

    for (conn = TAILQ_FIRST(&c->thread->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (conn->export == c->export) {
            c->call(conn);
        }
    }
    export_unref(c->export);
    free(c);
}

static void call_for_export(Server *server, Export *export, void (*call)(Conn *conn))
{
    for (unsigned i = 0; i < server->n_threads; i++) {
        ExportCall *c = xcalloc(1, sizeof(*c));

        *c = (ExportCall){ server->threads[i], export_ref(export), call };
        aio_bh_schedule_oneshot(server->threads[i]->ctx, run_export_call, c);
    }
}

void iothreads_shutdown_export(Server *server, Export *export)
{
    call_for_export(server, export, conn_shutdown);
}

void iothreads_abort_export(Server *server, Export *export)
{
    call_for_export(server, export, conn_abort);
}

void iothreads_release_export(Server *server, Export *export)
{
    call_for_export(server, export, conn_release);
}
