/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz/server-target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>

#include "nbd-server/block-jobs.h"
#include "nbd-server/config.h"
#include "nbd-server/nodes.h"
#include "nbd-server/qmp/qmp.h"
#include "nbd-server/server.h"

typedef struct Peer {
    int fd;
    const uint8_t *bytes;
    size_t len, step;
} Peer;

static Server server;
static bool conn_gone;

/* ---- what main.c and iothread.c are to a connection ---- */

void iothread_conn_gone(Conn *conn)
{
    export_unref(conn->export);
    conn_gone = true;
}

unsigned iothreads_connections(Server *s)
{
    (void)s;
    return !conn_gone;
}

bool listen_next(Server *s, Listener **l, struct sockaddr_storage *addr, socklen_t *len)
{
    (void)s;
    (void)l;
    (void)addr;
    (void)len;
    return false;
}

void iothreads_shutdown_export(Server *s, Export *export)
{
    (void)s;
    (void)export;
}

void iothreads_abort_export(Server *s, Export *export)
{
    (void)s;
    (void)export;
}

void iothreads_release_export(Server *s, Export *export)
{
    (void)s;
    (void)export;
}

void iothreads_visit(Server *s, void (*func)(Conn *conn, void *opaque), void *opaque)
{
    (void)s;
    (void)func;
    (void)opaque;
}

void iothreads_synchronize(Server *s)
{
    (void)s;
}

void server_end(Server *s, const char *why)
{
    (void)s;
    (void)why;
}

void server_memory_short(void *s)
{
    (void)s;
}

/* ---- the client ---- */

static void peer_close(Peer *peer)
{
    aio_set_fd_handler(qemu_get_aio_context(), peer->fd, false, NULL, NULL, NULL);
    close(peer->fd);
    peer->fd = -1;
}

static void peer_read(void *opaque)
{
    static uint8_t forgotten[1 << 20];
    Peer *peer = opaque;
    ssize_t n = recv(peer->fd, forgotten, sizeof(forgotten), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        peer_close(peer);
    }
}

static void peer_write(void *opaque)
{
    Peer *peer = opaque;
    size_t len = peer->step && peer->step < peer->len ? peer->step : peer->len;
    ssize_t n = send(peer->fd, peer->bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0) {
        peer->bytes += n;
        peer->len -= (size_t)n;
    }
    if (peer->len == 0) {
        shutdown(peer->fd, SHUT_WR);
        aio_set_fd_handler(qemu_get_aio_context(), peer->fd, false, peer_read, NULL, peer);
    }
}

/* ---- the server ---- */

static void open_exports(void)
{
    ExportConfig *cfg;

    exports_init(&server);
    STAILQ_FOREACH(cfg, &server.config->exports, link) {
        exports_add(&server, export_new(cfg, &error_abort));
    }
}

void server_target_init(const char *qmp)
{
    char *args[] = {
        "nbd-export", "--image-opts", "--allocation-depth", "--discard=unmap",
        "--export", "name=,description=text,image=driver=memory,,size=1M",
        "--export", "name=ro,read-only=on,image=driver=memory,,size=64k",
        "--export", "name=big,image=driver=null-co,,size=16G,,read-zeroes=on",
        "--qmp", (char *)qmp,
        "--export", "name=d,image=driver=qcow2,,file.driver=file,,file.filename=d.qcow2",
    };
    const int n = sizeof(args) / sizeof(args[0]);
    Error *err = NULL;
    ConfigErrors errors = CONFIG_ERRORS_INIT(errors);

    qemu_init_main_loop(&error_abort);
    log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR, &error_abort);
    server.config = config_parse(qmp ? n : n - 4, args, false, &errors);
    if (!server.config) {
        config_errors_log(&errors);
        abort();
    }
    server.max_memory = server.config->max_memory;
    server.n_threads = 1;
    conn_gone = true;
    TAILQ_INIT(&server.nodes);
    STAILQ_INIT(&server.listeners);
    if (!qmp_start(&server, &err)) {
        log_error_free(err);
        abort();
    }
}

/* Sends what it has to say, and reads until it is left alone. */
static void peer_start(Peer *peer, int fd)
{
    peer->fd = fd;
    aio_set_fd_handler(qemu_get_aio_context(), fd, false, peer_read, peer_write, peer);
}

void server_target_run(const uint8_t *bytes, size_t len, size_t step)
{
    AioContext *ctx = qemu_get_aio_context();
    Peer peer = { .bytes = bytes, .len = len, .step = step };
    struct sockaddr_storage address = { .ss_family = AF_UNIX };
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return;
    }
    open_exports();
    conn_gone = false;
    peer_start(&peer, fds[0]);
    conn_start(conn_new(&server, NULL, ctx, fds[1], &address, sizeof(sa_family_t)));
    while (!conn_gone || peer.fd >= 0) {
        aio_poll(ctx, true);
    }
    exports_close(&server);
}

static int connect_qmp(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strncpy(addr.sun_path, server.config->qmp, sizeof(addr.sun_path) - 1);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
        abort();
    }
    return fd;
}

void server_target_run_qmp(const uint8_t *bytes, size_t len, size_t step)
{
    Peer peer = { .bytes = bytes, .len = len, .step = step };

    open_exports();
    peer_start(&peer, connect_qmp());
    while (peer.fd >= 0) {
        aio_poll(qemu_get_aio_context(), true);
    }
    exports_close(&server);
    export_jobs_free();
    nodes_close(&server);
    log_threshold = LOG_LEVEL_ERROR;      /* as x-log-level found it */
}
