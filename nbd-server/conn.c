/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a connection: its coroutine, its socket, and what it waits for.
 *
 * Whoever waits yields with client->wait set; the bottom half and the socket's
 * handlers are the only ones to wake it, and it looks again at why it waited.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "config.h"
#include "conn-int.h"
#include "data-pool.h"
#include "events.h"
#include "hold.h"
#include "liveness.h"
#include "peer.h"
#include "probation.h"
#include "succession.h"
#include "throttle.h"
#include "tls.h"

/* A busy connection gives way to the others of its thread after so many recvs in a row ... */
#define GREEDY_MAX 4
/* ... and after starting requests of so much weight: bytes, and a constant for each request. */
#define TURN_WORK_MAX (16u << 20)
#define REQUEST_WORK 4096
/* At a stop, how long a client that was busy must be quiet before we close: its next request
 * may be on the way already. */
#define LINGER_NS (100 * (int64_t)SCALE_MS)
/* At a stop, how long a client may pause within a request before we take it that the rest of
 * it will not come. */
#define STALL_NS (1000 * (int64_t)SCALE_MS)

/* A client that keeps us waiting must move so much in each --payload-timeout; and while others
 * wait for memory that it keeps, in each of these periods. */
#define PACE_BYTES (256u << 10)
#define PACE_NS (5000 * (int64_t)SCALE_MS)

static _Thread_local unsigned n_clients;   /* of this thread: the last one empties its pools */

/* ---- waiting ---- */

void client_kick(Client *c)
{
    if (!c->kicked) {
        c->kicked = true;
        qemu_bh_schedule(c->bh);
    }
}

static void update_handlers(Client *c);

static void on_readable(void *opaque)
{
    Client *c = opaque;

    if (c->wait == WAIT_INPUT) {
        qemu_coroutine_enter(c->co, NULL);   /* may free c */
    }
}

static void on_writable(void *opaque)
{
    Client *c = opaque;

    c->tx_blocked = false;
    if (c->wait == WAIT_OUTPUT) {
        qemu_coroutine_enter(c->co, NULL);   /* may free c */
        return;
    }
    reply_flush(c);
    update_handlers(c);
}

/* After c->wait or c->tx_blocked has changed. */
static void update_handlers(Client *c)
{
    /* While the coroutine runs input stays watched: it usually waits for more of it next. */
    bool reads = c->wait == WAIT_INPUT || (c->wait == WAIT_NONE && c->reads_on);
    bool writes = c->tx_blocked || c->wait == WAIT_OUTPUT;

    if (reads != c->reads_on || writes != c->writes_on) {
        c->reads_on = reads;
        c->writes_on = writes;
        aio_set_fd_handler(c->conn.ctx, c->conn.fd, true, reads ? on_readable : NULL,
                           writes ? on_writable : NULL, c);
    }
}

void coroutine_fn client_wait(Client *c, enum client_wait wait)
{
    c->wait = wait;
    update_handlers(c);
    qemu_coroutine_yield();
    c->wait = WAIT_NONE;
}

/* No further request may start.  Who waits has one in flight, whose end lets him look again, or
 * waits for his export's gate. */
static bool is_full(const Client *c)
{
    return c->in_flight >= CONN_MAX_IN_FLIGHT || budget_has_waiters(&c->budget) ||
           (c->in_flight > 0 &&
            (requests_in_thread() + 1) * c->conn.server->n_threads > SERVER_MAX_IN_FLIGHT) ||
           (c->admitting > 0 && hold_is_full(c, c->admitting));
}

static bool may_go_on(const Client *c)
{
    switch (c->wait) {
    case WAIT_NONE:
    case WAIT_MAIN:
    case WAIT_MEMORY:
    case WAIT_TURN:
        return false;
    case WAIT_QUIET:
        return c->in_flight == 0;
    case WAIT_ROOM:
        return c->error || !is_full(c);
    case WAIT_ELDERS:
        return c->error || c->timed_out || c->stopping || succession_is_settled(c);
    case WAIT_INPUT:
        if (channel_has_input(&c->conn)) {
            return true;
        }
        /* fall through */
    default:
        return c->error || c->timed_out || c->stopping;
    }
}

static void client_bh(void *opaque)
{
    Client *c = opaque;

    c->kicked = false;
    reply_flush(c);
    budget_grant(&c->budget);
    if (c->error) {
        probation_end(c);
        hold_drop(c, true);
    } else {
        hold_release(c);
    }
    update_handlers(c);
    if (may_go_on(c)) {
        qemu_coroutine_enter(c->co, NULL);   /* may free c */
    }
}

static void on_timer(void *opaque)
{
    Client *c = opaque;

    c->timed_out = true;
    client_kick(c);
}

void client_fail(Client *c, int error)
{
    if (!c->error) {
        c->error = error;
    }
    reply_discard(c);
    budget_cancel(&c->budget);
    throttle_give_up(c, !c->goodbye);
    client_kick(c);
}

bool coroutine_fn client_take_memory(Client *c, size_t bytes)
{
    bool ok = budget_try(&c->budget, bytes);

    if (!ok && !c->error) {
        reply_flush(c);
        c->wait = WAIT_MEMORY;
        update_handlers(c);
        ok = budget_take(&c->budget, bytes);
        c->wait = WAIT_NONE;
    }
    if (ok && c->error) {
        budget_give(&c->budget, bytes);
        ok = false;
    }
    return ok;
}

bool coroutine_fn client_take_turn(Client *c, Request *req)
{
    int ret;

    reply_flush(c);
    c->wait = WAIT_TURN;
    update_handlers(c);
    req->co = c->co;
    ret = request_take_turn(req);
    req->co = NULL;
    c->wait = WAIT_NONE;
    return ret == 0 && !c->error;
}

void coroutine_fn client_give_way(Client *c)
{
    c->turn_work = 0;
    reply_flush(c);
    aio_co_schedule(c->conn.ctx, c->co);
    qemu_coroutine_yield();
}

bool coroutine_fn client_admit(Client *c, uint64_t len, uint64_t payload)
{
    c->admitting = payload;
    c->turn_work += REQUEST_WORK + (len < TURN_WORK_MAX ? len : TURN_WORK_MAX);
    if (c->turn_work > TURN_WORK_MAX) {
        client_give_way(c);
    }
    while (!c->error && is_full(c)) {
        reply_flush(c);
        if (!c->error && is_full(c)) {
            client_wait(c, WAIT_ROOM);
        }
    }
    return !c->error;
}

/* ---- receiving ---- */

/* 0, or why nothing is to be received any more. */
static int check_alive(const Client *c)
{
    if (c->error) {
        return c->error;
    }
    if (!c->transmitting) {
        return c->stopping ? -ECANCELED : c->timed_out ? -ETIMEDOUT : 0;
    }
    return 0;
}

static int coroutine_fn make_room(Client *c, size_t need)
{
    if (rx_make_room(&c->rx, need)) {
        return 0;
    }
    if (!client_take_memory(c, RX_CHUNK_SIZE)) {
        return c->error;
    }
    if (!rx_replace(&c->rx, &c->budget)) {
        budget_give(&c->budget, RX_CHUNK_SIZE);
        return -ENOMEM;
    }
    return 0;
}

/* One recv; what does not fit into `first` goes into the buffer.  As client_recv(), or -EAGAIN. */
static ssize_t recv_once(Client *c, void *first, size_t first_len)
{
    struct iovec iov[2] = {
        { first, first_len },
        { rx_room_at(&c->rx), rx_room(&c->rx) },
    };
    size_t asked = first_len + rx_room(&c->rx);
    ssize_t n = channel_recv(&c->conn, first ? iov : iov + 1, first ? 2 : 1);

    if (n < 0) {
        c->drained = true;
        return n;
    }
    c->drained = (size_t)n < asked && !channel_has_input(&c->conn);
    if (!first) {
        c->rx.end += (size_t)n;
        return n;
    }
    if ((size_t)n > first_len) {
        c->rx.end += (size_t)n - first_len;
        n = (ssize_t)first_len;
    }
    c->rx.consumed += (size_t)n;
    return n;
}

static void received(Client *c)
{
    c->greedy++;
    c->heard_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    if (c->stopping) {
        c->timed_out = false;
        timer_del(c->timer);
    }
}

/* At a stop, with nothing to read: is there nothing more to come?  Else looks again later. */
static bool all_said(Client *c)
{
    int64_t patience = c->between_requests ? LINGER_NS : STALL_NS;

    if (!c->stopping || (c->between_requests && c->in_flight > 0)) {
        return false;
    }
    if (c->timed_out || (c->between_requests && !c->linger)) {
        return true;
    }
    timer_mod_ns(c->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + patience);
    return false;
}

static void coroutine_fn wait_for_input(Client *c)
{
    bool idle = c->between_requests && !channel_has_input(&c->conn);

    if (!c->between_requests) {
        client_stalls(c);
    }
    client_add_busy(c, idle ? -1 : 0);
    client_wait(c, WAIT_INPUT);
    if (idle) {
        client_add_busy(c, 1);
        probation_begin(c);
    }
}

ssize_t coroutine_fn client_recv(Client *c, void *first, size_t first_len, size_t need)
{
    bool wait_first = (c->drained && !c->stopping) || c->greedy >= GREEDY_MAX;

    reply_flush(c);
    for (;;) {
        ssize_t n = check_alive(c);

        if (n < 0) {
            return n;
        }
        if (!wait_first) {
            n = make_room(c, need);
            if (n == 0) {
                n = recv_once(c, first, first_len);
            }
            if (n != -EAGAIN) {
                received(c);
                return n;
            }
            if (all_said(c)) {
                return -ECANCELED;
            }
        }
        rx_release_if_empty(&c->rx);
        if (wait_first && (c->stopping || channel_has_input(&c->conn))) {
            client_kick(c);     /* only giving way: the socket may have nothing for us */
        }
        wait_for_input(c);
        c->greedy = 0;
        c->turn_work = 0;
        wait_first = false;
    }
}

/* ---- clients that stall ---- */

static uint64_t bytes_moved(const Client *c)
{
    return c->rx.consumed + c->sent;
}

/* It is its turn: to take a reply, or to send the rest of a request. */
static bool is_stalled(const Client *c)
{
    return c->transmitting && !c->error &&
           (c->tx_blocked || (c->wait == WAIT_INPUT && !c->between_requests));
}

static int64_t stall_end(const Client *c)
{
    return c->stalled_ns + (int64_t)c->conn.server->config->payload_timeout * 1000000000;
}

static void start_stall(Client *c)
{
    c->stalled_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    c->stalled_moved = bytes_moved(c);
}

/* A timer that is pending stays as it is: what is in flight at full speed stalls all the time,
 * for a moment. */
void client_stalls(Client *c)
{
    if (c->stalled_ns == 0 && c->transmitting && c->conn.server->config->payload_timeout > 0) {
        start_stall(c);
        if (!timer_pending(c->stall_timer)) {
            timer_mod_ns(c->stall_timer, stall_end(c));
        }
    }
}

static void on_stall_timer(void *opaque)
{
    Client *c = opaque;

    if (!is_stalled(c) || c->stalled_ns == 0) {
        c->stalled_ns = 0;
        return;
    }
    if (bytes_moved(c) - c->stalled_moved >= PACE_BYTES) {
        start_stall(c);
    }
    if (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) < stall_end(c)) {
        timer_mod_ns(c->stall_timer, stall_end(c));
        return;
    }
    log_msg(LOG_LEVEL_WARNING, c->conn.export, &c->conn, "cut off: within the %u seconds of "
            "--payload-timeout it %s", c->conn.server->config->payload_timeout,
            c->tx_blocked ? "has not taken its replies" : "has not gone on with its request");
    client_fail(c, -ETIMEDOUT);
}

/* ---- the handshake's doors ---- */

int coroutine_fn conn_read(Conn *conn, void *buf, size_t len)
{
    Client *c = client_of(conn);
    size_t done = 0;

    while (done < len) {
        size_t n = rx_have(&c->rx) < len - done ? rx_have(&c->rx) : len - done;

        if (n > 0) {
            memcpy((uint8_t *)buf + done, rx_data(&c->rx), n);
            rx_consume(&c->rx, n);
            done += n;
        } else {
            ssize_t ret = client_recv(c, NULL, 0, 1);

            if (ret <= 0) {
                return ret < 0 ? (int)ret : done > 0 ? -ECONNRESET : -ESHUTDOWN;
            }
        }
    }
    return 0;
}

int coroutine_fn conn_drop(Conn *conn, size_t len)
{
    Client *c = client_of(conn);

    for (;;) {
        size_t n = rx_have(&c->rx) < len ? rx_have(&c->rx) : len;
        ssize_t ret;

        rx_consume(&c->rx, n);
        len -= n;
        if (len == 0) {
            return 0;
        }
        ret = client_recv(c, NULL, 0, 1);
        if (ret <= 0) {
            return ret < 0 ? (int)ret : -ECONNRESET;
        }
    }
}

int coroutine_fn conn_write(Conn *conn, const struct iovec *iov, int niov)
{
    Client *c = client_of(conn);
    size_t skip = 0;   /* bytes of *iov that have gone */

    while (niov > 0) {
        struct iovec rest;
        ssize_t n = check_alive(c);

        if (n < 0) {
            return (int)n;
        }
        rest = (struct iovec){ (uint8_t *)iov->iov_base + skip, iov->iov_len - skip };
        n = channel_send(conn, &rest, 1, niov > 1);
        if (n == -EAGAIN) {
            client_wait(c, WAIT_OUTPUT);
        } else if (n < 0) {
            return n == -EPIPE ? -ECONNRESET : (int)n;
        } else {
            skip += (size_t)n;
        }
        if (skip == iov->iov_len) {
            iov++;
            niov--;
            skip = 0;
        }
    }
    return 0;
}

/* A call on its way to the main thread. */
typedef struct {
    Job job;
    Client *client;
    void (*func)(void *opaque);
    void *opaque;
} MainCall;

static void run_main_call(void *opaque)
{
    const MainCall *call = opaque;
    Client *c = call->client;

    call->func(call->opaque);
    aio_co_schedule(c->conn.ctx, c->co);     /* call is gone when it runs */
}

static void start_main_call(void *opaque)
{
    MainCall *call = opaque;

    jobs_run(&call->client->conn.server->jobs, &call->job);
}

void coroutine_fn conn_call_main(Conn *conn, void (*func)(void *opaque), void *opaque)
{
    MainCall call = { .client = client_of(conn), .func = func, .opaque = opaque };

    call.job = (Job){ .func = run_main_call, .opaque = &call };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), start_main_call, &call);
    client_wait(call.client, WAIT_MAIN);
}

typedef struct TlsStep {
    Client *c;
    bool output;              /* it waits for room, not for input */
    int ret;
} TlsStep;

static void run_tls_step(void *opaque)
{
    TlsStep *step = opaque;

    step->ret = tls_session_handshake(step->c->conn.tls_session, &step->output);
    qemu_coroutine_enter(step->c->co, NULL);   /* may free c */
}

/* On the thread's own stack: what the keys of a hostile client make gnutls compute may need more
 * than a coroutine has. */
static int coroutine_fn tls_step(TlsStep *step)
{
    aio_bh_schedule_oneshot(step->c->conn.ctx, run_tls_step, step);
    qemu_coroutine_yield();
    return step->ret;
}

int coroutine_fn conn_start_tls(Conn *conn, TlsCreds *creds)
{
    Client *c = client_of(conn);
    TlsStep step = { .c = c };
    int ret;

    /* What came in the clear behind the client's request anyone could have put there. */
    if (rx_have(&c->rx) > 0) {
        log_msg(LOG_LEVEL_WARNING, NULL, conn, "refused: it sent something in the clear after it "
                "asked for TLS");
        return -EPROTO;
    }
    conn->tls_session = tls_session_new(conn, creds);
    if (!conn->tls_session) {
        return -ENOMEM;
    }
    while ((ret = tls_step(&step)) == -EAGAIN) {
        ret = check_alive(c);
        if (ret < 0) {
            return ret;
        }
        client_wait(c, step.output ? WAIT_OUTPUT : WAIT_INPUT);
    }
    c->drained = false;
    return ret;
}

void conn_set_deadline(Conn *conn, int64_t deadline_ns)
{
    Client *c = client_of(conn);

    c->timed_out = false;
    if (deadline_ns) {
        timer_mod_ns(c->timer, deadline_ns);
    } else {
        timer_del(c->timer);
    }
}

/* ---- beginning and end ---- */

static void client_free(Client *c)
{
    rx_free(&c->rx);
    if (c->bh) {
        qemu_bh_delete(c->bh);
    }
    timer_free(c->timer);
    timer_free(c->stall_timer);
    budget_destroy(&c->budget);
    free(c);
}

/* That the client has gone, and what it has done. */
static void log_disconnect(const Client *c)
{
    int64_t us = (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - c->since_ns) / 1000;
    const LogField fields[] = {
        { "requests", (int64_t)c->n_requests },
        { "bytes_read", (int64_t)stats_bytes_read(&c->stats) },
        { "bytes_written", (int64_t)stats_bytes_written(&c->stats) },
        { "duration_us", us },
    };

    log_fields(LOG_LEVEL_NOTICE, c->conn.export, &c->conn, fields, 4,
               "disconnected after %" PRId64 ".%03" PRId64 " seconds: %" PRIu64 " requests, %"
               PRIu64 " bytes read, %" PRIu64 " bytes written", us / 1000000, us / 1000 % 1000,
               c->n_requests, stats_bytes_read(&c->stats), stats_bytes_written(&c->stats));
}

/* error: what ended its stream. */
static const char *why_ended(const Client *c, int error)
{
    if (c->dismissed) {
        return "kicked";
    } else if (error == -ECANCELED || c->stopping) {
        return c->conn.server->stopping ? "server stops" : "export removed";
    }
    return error == 0 ? "closed" : error == -ESHUTDOWN ? "left"
           : error == -ETIMEDOUT ? "timed out" : error == -EPROTO ? "misbehaved" : "lost";
}

static void coroutine_fn conn_run(void *opaque)
{
    Client *c = opaque;
    Conn *conn = &c->conn;
    int error = 0;

    if (handshake_run(conn) == 0) {
        c->transmitting = true;
        event_client_connected(conn);
        error = transmission_run(conn);
        c->goodbye = error == -ESHUTDOWN;
        error = c->error ? c->error : error;
    }
    probation_end(c);
    /* Who takes his leave is owed what he has asked for: "Terminating the transmission phase". */
    c->ended = !c->goodbye;
    hold_drop(c, c->ended);
    reply_flush(c);
    if (liveness_gone(conn->fd)) {
        client_fail(c, -ECONNRESET);
    }
    while (c->in_flight > 0) {
        client_wait(c, WAIT_QUIET);
    }
    if (conn->export) {
        succession_leave(conn);
    }
    aio_set_fd_handler(conn->ctx, conn->fd, true, NULL, NULL, NULL);
    channel_close(conn);
    if (conn->export) {
        log_disconnect(c);
        event_client_disconnected(conn, why_ended(c, error));
    }
    iothread_conn_gone(conn);
    client_free(c);
    if (--n_clients == 0) {
        receive_pool_release();
        rx_pool_release();
        data_pool_release();
    }
}

/* Replies leave when we send them, and a client that vanished is found out. */
static void set_socket_options(const Server *server, int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));   /* fails on what is not TCP */
    liveness_watch(fd, server->config->keepalive);
}

Conn *conn_new(Server *server, IoThread *thread, AioContext *ctx, int fd,
               const struct sockaddr_storage *addr, socklen_t addr_len)
{
    Client *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return NULL;
    }
    c->conn.server = server;
    c->conn.thread = thread;
    c->conn.ctx = ctx;
    c->conn.fd = fd;
    c->conn.id = atomic_fetch_add(&server->n_conns, 1) + 1;
    c->since_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    c->conn.addr = *addr;
    c->conn.addr_len = addr_len;
    peer_identify(&c->conn);
    STAILQ_INIT(&c->replies);
    TAILQ_INIT(&c->writes);
    STAILQ_INIT(&c->held);
    TAILQ_INIT(&c->throttled);
    LIST_INIT(&c->elders);
    c->bh = aio_bh_new(ctx, client_bh, c);
    c->timer = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS, on_timer, c);
    c->stall_timer = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS, on_stall_timer, c);
    budget_init(&c->budget, server, c->bh);
    set_socket_options(server, fd);
    n_clients++;
    return &c->conn;
}

void conn_start(Conn *conn)
{
    Client *c = client_of(conn);

    c->co = qemu_coroutine_create(conn_run);
    qemu_coroutine_enter(c->co, c);   /* may free c */
}

void conn_shutdown(Conn *conn)
{
    Client *c = client_of(conn);

    if (c->stopping) {
        return;
    }
    c->stopping = true;
    c->timed_out = false;
    c->serve_until = c->rx.consumed + rx_have(&c->rx) + channel_unread(conn);
    c->linger = c->in_flight > 0 || c->serve_until > c->rx.consumed ||
                qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - c->heard_ns < LINGER_NS;
    client_kick(c);
}

void conn_abort(Conn *conn)
{
    client_fail(client_of(conn), -ECANCELED);
    throttle_give_up(client_of(conn), true);
}

void conn_dismiss(Conn *conn, bool force)
{
    client_of(conn)->dismissed = true;
    if (force) {
        conn_abort(conn);
    } else {
        conn_shutdown(conn);
    }
}

void conn_release(Conn *conn)
{
    client_kick(client_of(conn));
}

/* ---- memory that is short ---- */

static bool keeps_memory(const Client *c)
{
    return c->budget.granted > 0 && is_stalled(c);
}

void conn_watch(Conn *conn)
{
    Client *c = client_of(conn);

    c->pace_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    c->pace_moved = bytes_moved(c);
}

void conn_press(Conn *conn)
{
    Client *c = client_of(conn);

    if (c->pace_ns == 0 || !keeps_memory(c) || bytes_moved(c) - c->pace_moved >= PACE_BYTES) {
        conn_watch(conn);
    } else if (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - c->pace_ns >= PACE_NS) {
        log_msg(LOG_LEVEL_WARNING, conn->export, conn, "cut off: others wait for memory, and it "
                "neither takes its replies nor goes on with its request");
        client_fail(c, -ETIMEDOUT);
    }
}
