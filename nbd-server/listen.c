/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening sockets: opening them, accepting clients, removing them.
 *
 * All in the main thread.  When the process runs out of file descriptors the
 * listeners are not watched (they would be ready for ever) until a client has
 * left or a second has passed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "peer.h"
#include "systemd.h"
#include "unix-socket.h"

#define ACCEPT_BATCH 64                        /* clients a turn of the loop */
#define ACCEPT_PAUSE_NS INT64_C(1000000000)

struct Listener {
    Server *server;
    UnixSocket socket;       /* of TCP: without a path */
    STAILQ_ENTRY(Listener) link;
};

/* ---- accepting ---- */

static void accept_ready(void *opaque);

static void watch_all(Server *server, IOHandler *handler)
{
    Listener *l;

    STAILQ_FOREACH(l, &server->listeners, link) {
        aio_set_fd_handler(qemu_get_aio_context(), l->socket.fd, true, handler, NULL, l);
    }
}

/* Clients that come and go at a limit must not fill the log. */
static void warn_of_pause(int error)
{
    static int64_t warned_ns;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    if (warned_ns == 0 || now - warned_ns >= ACCEPT_PAUSE_NS) {
        warned_ns = now;
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "no further client is accepted for now: %s",
                error == EUSERS ? "there are as many as --max-clients allows" : strerror(error));
    }
}

static void pause_accepting(Server *server, int error)
{
    warn_of_pause(error);
    watch_all(server, NULL);
    timer_mod_ns(server->accept_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + ACCEPT_PAUSE_NS);
}

static void resume_accepting(void *opaque)
{
    watch_all(opaque, accept_ready);
}

void listen_client_left(Server *server)
{
    if (server->accept_timer && timer_pending(server->accept_timer)) {
        timer_del(server->accept_timer);
        resume_accepting(server);
    }
}

/* One waiting client; false if there is none or accepting must pause. */
static bool accept_one(Listener *l)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd;

    if (iothreads_connections(l->server) >= l->server->config->max_clients) {
        pause_accepting(l->server, EUSERS);
        return false;
    }
    fd = accept4(l->socket.fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        switch (errno) {
        case EAGAIN:
            return false;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            pause_accepting(l->server, errno);
            return false;
        default:
            return true;   /* that client is gone already */
        }
    }
    server_add_client(l->server, fd, &addr, len);
    return true;
}

void listen_adopt(Server *server, int fd)
{
    struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof(addr);

    getpeername(fd, (struct sockaddr *)&addr, &len);
    server_add_client(server, fd, &addr, len);
}

static void accept_ready(void *opaque)
{
    Listener *l = opaque;

    for (int i = 0; i < ACCEPT_BATCH && accept_one(l); i++) {
    }
}

/* ---- opening ---- */

static void add_listener(Server *server, UnixSocket opened)
{
    Listener *l = xcalloc(1, sizeof(*l));

    l->server = server;
    l->socket = opened;
    STAILQ_INSERT_TAIL(&server->listeners, l, link);
}

static bool listen_unix(Server *server, const char *path, Error **errp)
{
    UnixSocket opened;

    if (!unix_socket_open(&opened, path, 0, errp)) {
        return false;
    }
    add_listener(server, opened);
    log_msg(LOG_LEVEL_INFO, NULL, NULL, "listening on unix socket %s", path);
    return true;
}

static bool is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)addr)->sin6_addr);
    }
    return ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static unsigned get_port(const struct sockaddr *addr)
{
    return ntohs(addr->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)addr)->sin6_port
                                             : ((const struct sockaddr_in *)addr)->sin_port);
}

static void set_port(struct sockaddr *addr, unsigned port)
{
    if (addr->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)addr)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
    }
}

/* A listening socket, or -errno. */
static int open_tcp(const struct addrinfo *ai)
{
    const int on = 1;
    auto_close int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        /* So that the wildcards of IPv4 and IPv6 do not get into each other's way. */
        (ai->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        return -errno;
    }
    return take_fd(&fd);
}

/*
 * The kernel may take a moment to free the port of a server that was killed, and
 * who starts the next one at once should not have to try twice.
 */
static int open_tcp_patiently(const struct addrinfo *ai)
{
    const struct timespec pause = { .tv_nsec = 50 * SCALE_MS };
    int fd = open_tcp(ai);

    for (int tries = 1; fd == -EADDRINUSE && tries < 20; tries++) {
        nanosleep(&pause, NULL);
        fd = open_tcp(ai);
    }
    return fd;
}

/* Tells where fd listens (the kernel may have picked the port); the port. */
static unsigned report_tcp(int fd, const char *what)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    char text[96];

    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        return 0;
    }
    peer_format_address(&addr, len, text, sizeof(text));
    log_msg(LOG_LEVEL_INFO, NULL, NULL, "%s %s", what, text);
    return get_port((struct sockaddr *)&addr);
}

/* "host:port" as the user would write it; the caller frees it. */
static char *tcp_text(const ListenAddress *address)
{
    const char *host = address->host ? address->host : "*";
    const char *format = strchr(host, ':') ? "[%s]:%u" : "%s:%u";
    char *text;

    return asprintf(&text, format, host, address->port) < 0 ? NULL : text;
}

static struct addrinfo *resolve(const ListenAddress *address, const char *text, Error **errp)
{
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char port[16];
    int ret;

    snprintf(port, sizeof(port), "%u", address->port);
    ret = getaddrinfo(address->host, port, &hints, &list);
    if (ret != 0) {
        error_setg(errp, "cannot listen on %s: %s", text,
                   ret == EAI_SYSTEM ? strerror(errno) : gai_strerror(ret));
        error_append_hint(errp, "Give an address or a host name of this machine.\n");
        return NULL;
    }
    return list;
}

/* Every address that the host stands for.  Of a host that has IPv4 and IPv6 addresses it is enough
 * if one works: this machine may lack the other.  *exposed: reachable from other machines. */
static bool listen_tcp(Server *server, const ListenAddress *address, bool *exposed, Error **errp)
{
    auto_free char *text = xalloc_check(tcp_text(address));
    struct addrinfo *list = resolve(address, text, errp);
    unsigned port = address->port;
    int error = 0, opened = 0;

    if (!list) {
        return false;
    }
    for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd;

        set_port(ai->ai_addr, port);
        fd = open_tcp_patiently(ai);
        if (fd < 0) {
            error = -fd;
            if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) {
                opened = 0;
                break;
            }
            continue;
        }
        opened++;
        add_listener(server, (UnixSocket){ .fd = fd });
        port = report_tcp(fd, "listening on");
        *exposed |= !is_loopback(ai->ai_addr);
    }
    freeaddrinfo(list);
    if (!opened) {
        error_setg_errno(errp, error, "cannot listen on %s", text);
        error_append_hint(errp, error == EADDRINUSE
                          ? "Another server has that port: choose one with --port.\n"
                          : "Choose an address of this machine with --bind, a port with --port.\n");
        return false;
    }
    return true;
}

int listen_open_tcp(const ListenAddress *address, const char *what, bool *exposed, Error **errp)
{
    auto_free char *text = xalloc_check(tcp_text(address));
    struct addrinfo *list = resolve(address, text, errp);
    int fd = -1;

    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = open_tcp_patiently(ai);
        *exposed = !is_loopback(ai->ai_addr);
    }
    freeaddrinfo(list);
    if (fd >= 0) {
        report_tcp(fd, what);
    } else if (list) {
        error_setg_errno(errp, -fd, "cannot listen on %s", text);
        error_append_hint(errp, "Choose an address of this machine, and a free port.\n");
    }
    return fd;
}

/* ---- passed by systemd ---- */

static bool adopt_socket(Server *server, int fd, bool *exposed, Error **errp)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr), int_len = sizeof(int);
    int type = 0, listening = 0;

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len);
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_len);
    if (type != SOCK_STREAM || !listening ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        error_setg(errp, "descriptor %d, passed by systemd, is no socket that listens", fd);
        error_append_hint(errp, "The .socket unit needs ListenStream= and Accept=no.\n");
        return false;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    add_listener(server, (UnixSocket){ .fd = fd });
    if (addr.ss_family == AF_UNIX) {
        log_msg(LOG_LEVEL_INFO, NULL, NULL, "listening on descriptor %d, a unix socket", fd);
    } else {
        report_tcp(fd, "listening on");
        *exposed |= !is_loopback((struct sockaddr *)&addr);
    }
    return true;
}

/* ---- all of them ---- */

static bool open_all(Server *server, bool *exposed, Error **errp)
{
    static const ListenAddress by_default = { .port = NBD_DEFAULT_PORT };
    const ListenAddress *address;

    for (int i = 0; i < server->passed_fds; i++) {
        if (!adopt_socket(server, SYSTEMD_FIRST_FD + i, exposed, errp)) {
            return false;
        }
    }
    if (server->private_socket && !listen_unix(server, server->private_socket, errp)) {
        return false;
    }
    STAILQ_FOREACH(address, &server->config->addresses, link) {
        if (!(address->path ? listen_unix(server, address->path, errp)
                            : listen_tcp(server, address, exposed, errp))) {
            return false;
        }
    }
    return !STAILQ_EMPTY(&server->listeners) || listen_tcp(server, &by_default, exposed, errp);
}

/* Some export is served in the clear, and to everybody. */
static bool serves_strangers(const Config *config)
{
    const ExportConfig *export;

    STAILQ_FOREACH(export, &config->exports, link) {
        if (config->tls != TLS_REQUIRE && export->tls != TLS_REQUIRE &&
            !access_rules_guard_network(&export->access)) {
            return true;
        }
    }
    return false;
}

bool listen_start(Server *server, Error **errp)
{
    bool exposed = false;

    server->accept_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                         resume_accepting, server);
    if (!open_all(server, &exposed, errp)) {
        listen_stop(server);
        return false;
    }
    if (exposed && serves_strangers(server->config)) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "whoever reaches this machine over the network can "
                "use the exports, in the clear: to prevent that, --tls-certs DIR or --tls-psk "
                "FILE, --allow net:ADDRESS/BITS, --bind 127.0.0.1 or --socket PATH");
    }
    watch_all(server, accept_ready);
    return true;
}

bool listen_next(Server *server, Listener **l, struct sockaddr_storage *addr, socklen_t *len)
{
    *l = *l ? STAILQ_NEXT(*l, link) : STAILQ_FIRST(&server->listeners);
    *len = sizeof(*addr);
    memset(addr, 0, sizeof(*addr));
    return *l && getsockname((*l)->socket.fd, (struct sockaddr *)addr, len) == 0;
}

/* ---- closing ---- */

void listen_stop(Server *server)
{
    Listener *l;

    watch_all(server, NULL);
    while ((l = STAILQ_FIRST(&server->listeners))) {
        STAILQ_REMOVE_HEAD(&server->listeners, link);
        unix_socket_close(&l->socket);
        free(l);
    }
    timer_free(server->accept_timer);
    server->accept_timer = NULL;
}
