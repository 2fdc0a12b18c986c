/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The metrics over HTTP, in a thread and an event loop of their own: nothing that the main thread
 * does holds them up, nor do they hold up anything.
 *
 * A connection is for one request and has some seconds for it; so has a client that is slow on
 * purpose, and there are few connections at a time.
 */
#include "metrics.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "config.h"

#define CONNECTIONS_MAX 16
#define CONNECTION_MEMORY ((size_t)16 << 10)     /* bytes: what a request's head may take */
#define CONNECTION_NS INT64_C(10000000000)

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A connection, for as long as it is there. */
typedef struct Visitor {
    int fd;
    int64_t deadline_ns;
    TAILQ_ENTRY(Visitor) link;
} Visitor;

/* All but `id` belongs to the thread once it runs. */
static struct {
    Server *server;
    struct MHD_Daemon *daemon;
    int epoll_fd;                     /* readable: the daemon has something to do */
    AioContext *ctx;
    QEMUTimer *timer;                 /* the daemon's, and the first visitor's deadline */
    TAILQ_HEAD(, Visitor) visitors;   /* in the order they came */
    bool closed;                      /* a connection, since the daemon ran */
    bool stop;
    pthread_t id;
} http = { .visitors = TAILQ_HEAD_INITIALIZER(http.visitors) };

/* ---- which format ---- */

/* The q of a media range of Accept, "TYPE; NAME=VALUE; q=0.5", in thousandths; cuts it up. */
static unsigned read_quality(char *range, bool *other_version)
{
    double q = 1;
    char *rest = NULL;

    *other_version = false;
    strtok_r(range, ";", &rest);
    for (char *each = strtok_r(NULL, ";", &rest); each; each = strtok_r(NULL, ";", &rest)) {
        each += strspn(each, " \t");
        if (strncmp(each, "q=", 2) == 0) {
            q = strtod(each + 2, NULL);
        } else if (strncmp(each, "version=", 8) == 0) {
            *other_version = strncmp(each + 8, "1.0.0", 5) != 0;
        }
    }
    return q > 0 && q <= 1 ? (unsigned)(q * 1000) : 0;
}

static bool is_type(const char *range, const char *type)
{
    size_t len = strlen(type);

    return strncasecmp(range, type, len) == 0 && strchr(" \t;", range[len]);
}

/* Plain text unless OpenMetrics is asked for by name, and nothing rather than that. */
static bool wants_openmetrics(const char *accept)
{
    char *copy = accept ? strdup(accept) : NULL, *rest = NULL;
    unsigned best = 0, text = 0;

    for (char *each = copy ? strtok_r(copy, ",", &rest) : NULL; each;
         each = strtok_r(NULL, ",", &rest)) {
        bool openmetrics, is_text, other;
        unsigned q;

        each += strspn(each, " \t");
        openmetrics = is_type(each, "application/openmetrics-text");
        is_text = is_type(each, "text/plain");
        q = read_quality(each, &other);
        best = openmetrics && !other && q > best ? q : best;
        text = is_text && q > text ? q : text;
    }
    free(copy);
    return best > 0 && best >= text;
}

/* ---- a request ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *type, char *body, size_t len)
{
    struct MHD_Response *response;
    enum MHD_Result ret = MHD_NO;

    response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(body);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD"))) {
        ret = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return ret;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
    char *body = strdup(text);

    return body ? answer(connection, status, "text/plain; charset=utf-8", body, strlen(body))
                : MHD_NO;
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection)
{
    bool openmetrics = wants_openmetrics(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
    size_t len;
    char *page = metrics_page(http.server, openmetrics, &len);

    if (!page) {
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    }
    return answer(connection, MHD_HTTP_OK, openmetrics ? OPENMETRICS_TYPE : TEXT_TYPE, page, len);
}

/* Called for the head of a request, and once more when all of it has come. */
static enum MHD_Result handle(void *opaque, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)opaque;
    (void)version;
    (void)upload;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    if (!*state) {
        *state = &http;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        return MHD_NO;
    }
    if (strcmp(url, "/metrics") == 0) {
        return answer_metrics(connection);
    }
    if (strcmp(url, "/") == 0) {
        return answer_text(connection, MHD_HTTP_OK, "nbd-export: metrics are at /metrics\n");
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "metrics are at /metrics\n");
}

/* ---- connections ---- */

static void notify(void *opaque, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info;
    Visitor *visitor = *socket_context;

    (void)opaque;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (visitor) {
            TAILQ_REMOVE(&http.visitors, visitor, link);
            free(visitor);
        }
        http.closed = true;
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    visitor = info ? calloc(1, sizeof(*visitor)) : NULL;
    if (visitor) {
        visitor->fd = info->connect_fd;
        visitor->deadline_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + CONNECTION_NS;
        TAILQ_INSERT_TAIL(&http.visitors, visitor, link);
        *socket_context = visitor;
    }
}

/* The daemon sees their end, and closes them. */
static void end_late_visitors(int64_t now_ns)
{
    Visitor *visitor;

    TAILQ_FOREACH(visitor, &http.visitors, link) {
        if (visitor->deadline_ns > now_ns) {
            break;
        }
        shutdown(visitor->fd, SHUT_RDWR);
        visitor->deadline_ns = now_ns + CONNECTION_NS;
    }
}

static void set_timer(int64_t now_ns)
{
    Visitor *first = TAILQ_FIRST(&http.visitors);
    int64_t wake_ns = first ? first->deadline_ns : INT64_MAX;
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(http.daemon, &ms) == MHD_YES &&
        ms < (MHD_UNSIGNED_LONG_LONG)CONNECTION_NS / SCALE_MS &&
        now_ns + (int64_t)ms * SCALE_MS < wake_ns) {
        wake_ns = now_ns + (int64_t)ms * SCALE_MS;
    }
    if (wake_ns < INT64_MAX) {
        timer_mod_ns(http.timer, wake_ns);
    } else {
        timer_del(http.timer);
    }
}

static void run_daemon(void *opaque)
{
    (void)opaque;
    end_late_visitors(qemu_clock_get_ns(QEMU_CLOCK_REALTIME));
    do {
        http.closed = false;
        MHD_run(http.daemon);
    } while (http.closed);      /* it accepts the next only when it runs again */
    set_timer(qemu_clock_get_ns(QEMU_CLOCK_REALTIME));
}

/* ---- from start to end ---- */

static void *run_thread(void *opaque)
{
    while (!http.stop) {
        aio_poll(http.ctx, true);
    }
    return opaque;
}

static void stop_thread(void *opaque)
{
    (void)opaque;
    http.stop = true;
}

/* Takes over fd, which listens. */
static bool start_daemon(int fd, Error **errp)
{
    http.daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, NULL,
                                   MHD_OPTION_LISTEN_SOCKET, fd,
                                   MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                   MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
                                   MHD_OPTION_NOTIFY_CONNECTION, notify, NULL,
                                   MHD_OPTION_END);
    if (!http.daemon) {
        error_setg(errp, "--metrics: libmicrohttpd does not start");
        close(fd);
        return false;
    }
    http.epoll_fd = MHD_get_daemon_info(http.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return true;
}

static void stop_daemon(void)
{
    aio_set_fd_handler(http.ctx, http.epoll_fd, false, NULL, NULL, NULL);
    timer_free(http.timer);
    MHD_stop_daemon(http.daemon);
    http.daemon = NULL;
    aio_context_unref(http.ctx);
}

static bool start_thread(Error **errp)
{
    int ret;

    http.ctx = aio_context_new(errp);
    if (!http.ctx) {
        MHD_stop_daemon(http.daemon);
        http.daemon = NULL;
        return false;
    }
    http.timer = aio_timer_new(http.ctx, QEMU_CLOCK_REALTIME, SCALE_NS, run_daemon, NULL);
    aio_set_fd_handler(http.ctx, http.epoll_fd, false, run_daemon, NULL, NULL);
    ret = pthread_create(&http.id, NULL, run_thread, NULL);
    if (ret != 0) {
        error_setg_errno(errp, ret, "--metrics: cannot start a thread");
        stop_daemon();
        return false;
    }
    return true;
}

bool metrics_start(Server *server, Error **errp)
{
    const ListenAddress *address = server->config->metrics;
    bool exposed;
    int fd;

    if (!address) {
        return true;
    }
    http.server = server;
    fd = listen_open_tcp(address, "metrics are served on", &exposed, errp);
    if (fd < 0) {
        error_prepend(errp, "--metrics: ");
        return false;
    }
    if (exposed) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "whoever reaches this machine over the network can "
                "read the metrics, and in them the names of all exports: to prevent that, "
                "--metrics 127.0.0.1:%u", address->port);
    }
    return start_daemon(fd, errp) && start_thread(errp);
}

void metrics_stop(void)
{
    if (http.daemon) {
        aio_bh_schedule_oneshot(http.ctx, stop_thread, NULL);
        pthread_join(http.id, NULL);
        stop_daemon();
    }
}
