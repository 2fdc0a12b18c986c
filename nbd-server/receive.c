/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transmission, the client's side: takes requests out of the stream and starts
 * them.  One recv brings many requests, all are started before the next recv,
 * and what they answered meanwhile leaves with one sendmsg.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "conn-int.h"
#include "data-pool.h"
#include "hold.h"
#include "meta-context.h"

/* Payloads up to this size wait in the buffer until they are complete; of larger ones the
 * missing part is received into a buffer of its own. */
#define INLINE_PAYLOAD_MAX (16u << 10)
/* Payload of a refused request is read and dropped up to here; beyond it is abuse.  proto.md,
 * "Request message": with extended headers the bound is the maximum that was announced. */
#define DROP_MAX (2 * NBD_MAX_REQUEST)
#define DROP_MAX_EXTENDED NBD_MAX_REQUEST
/* At a stop, how long after the first refusal requests are still answered: what was under way
 * then must have come, and a client that goes on regardless must not keep the server. */
#define REFUSE_NS (2 * (int64_t)1000 * SCALE_MS)
#define FREE_REQUESTS_MAX (2 * CONN_MAX_IN_FLIGHT)   /* that a thread keeps */

/* ---- requests: born and freed ---- */

static _Thread_local Request *free_requests;   /* last in, first out */
static _Thread_local unsigned n_free;
static _Thread_local unsigned n_in_flight;

unsigned requests_in_thread(void)
{
    return n_in_flight;
}

void requests_in_thread_add(int n)
{
    n_in_flight += (unsigned)n;
}

static Request *request_new(Client *c)
{
    Request *req = free_requests;

    if (req) {
        free_requests = req->next_free;
        n_free--;
    } else {
        req = malloc(sizeof(*req));
        if (!req) {
            return NULL;
        }
    }
    req->client = c;
    req->had_turn = false;
    req->mapped = false;
    req->reply_begun = false;
    req->chunk = NULL;
    req->data = NULL;
    req->pieces = NULL;
    req->n_out = 0;
    req->contexts = c->conn.contexts;
    c->in_flight++;
    n_in_flight++;
    return req;
}

void request_release_data(Request *req)
{
    rx_chunk_unref(req->chunk);
    req->chunk = NULL;
    if (req->data) {
        data_put(req->data, req->data_size);
        budget_give(&req->client->budget, req->data_size);
        req->data = NULL;
    }
    if (req->mapped) {
        blk_unmap(&req->map);
        req->mapped = false;
    }
}

void request_free(Request *req)
{
    Client *c = req->client;

    assert(!req->listed);
    request_release_data(req);
    free(req->pieces);
    if (n_free < FREE_REQUESTS_MAX) {
        req->next_free = free_requests;
        free_requests = req;
        n_free++;
    } else {
        free(req);
    }
    c->in_flight--;
    n_in_flight--;
    if (c->wait == WAIT_ROOM || c->n_held > 0 ||
        (c->in_flight == 0 && (c->wait == WAIT_QUIET || c->stopping))) {
        client_kick(c);
    }
}

void receive_pool_release(void)
{
    while (free_requests) {
        Request *req = free_requests;

        free_requests = req->next_free;
        free(req);
    }
    n_free = 0;
}

/* ---- payload ---- */

static void add_payload(Request *req, void *base, size_t len)
{
    req->in[req->qiov.niov++] = (struct iovec){ base, len };
    req->qiov.size += len;
}

/* Takes `len` bytes that have arrived as (the first part of) the payload, where they lie. */
static void take_payload(Request *req, size_t len)
{
    RxBuffer *rx = &req->client->rx;

    if (len > 0) {
        req->chunk = rx_chunk_ref(rx->chunk);
        add_payload(req, rx_data(rx), len);
        rx_consume(rx, len);
    }
}

void request_detach_payload(Request *req)
{
    size_t len = req->chunk && !req->data ? req->qiov.size : 0;
    void *data = len > 0 ? data_get(len) : NULL;

    if (data) {
        memcpy(data, req->in[0].iov_base, len);
        rx_chunk_unref(req->chunk);
        req->chunk = NULL;
        budget_overdraw(&req->client->budget, len);
        req->data = data;
        req->data_size = len;
        qemu_iovec_init_external(&req->qiov, req->in, 0);
        add_payload(req, data, len);
    }
}

/* A medium that bypasses the page cache wants its data in one aligned piece. */
static bool wants_aligned(const Client *c)
{
    return blk_get_flags(c->conn.export->blk) & BDRV_O_NOCACHE;
}

/* 1, or -errno */
static int coroutine_fn receive_rest(Request *req, size_t got)
{
    Client *c = req->client;

    while (got < req->data_size) {
        ssize_t n = client_recv(c, (uint8_t *)req->data + got, req->data_size - got,
                                sizeof(struct nbd_extended_request));

        if (n <= 0) {
            return n < 0 ? (int)n : -ECONNRESET;
        }
        got += (size_t)n;
    }
    add_payload(req, req->data, req->data_size);
    return 1;
}

/* What waits for --throttle does so for hours: a payload that lies in memory meanwhile is in the
 * client's own, and what does not fit there has its turn before it is received.  Small ones are
 * bounded by their number, and have been received. */
static bool coroutine_fn wait_for_turn(Request *req, uint64_t payload)
{
    Client *c = req->client;

    return payload <= INLINE_PAYLOAD_MAX || c->budget.used + payload <= BUDGET_OWN_BYTES ||
           client_take_turn(c, req);
}

/* 1: taken; 0: no memory, nothing consumed; -errno: the connection ends. */
static int coroutine_fn receive_payload(Request *req)
{
    Client *c = req->client;
    size_t have = rx_have(&c->rx) < req->len ? rx_have(&c->rx) : req->len;
    bool aligned = have < req->len && wants_aligned(c);
    size_t rest = aligned ? req->len : req->len - have;
    void *data;

    qemu_iovec_init_external(&req->qiov, req->in, 0);
    if (rest == 0) {
        take_payload(req, have);
        return 1;
    }
    if (!client_take_memory(c, rest)) {
        return c->error;
    }
    data = data_get(rest);
    if (!data) {
        budget_give(&c->budget, rest);
        return 0;
    }
    req->data = data;
    req->data_size = rest;
    if (aligned) {
        memcpy(data, rx_data(&c->rx), have);
        rx_consume(&c->rx, have);
    } else {
        take_payload(req, have);
    }
    return receive_rest(req, aligned ? have : 0);
}

/* ---- the stream ---- */

static int garbage(const Client *c, const char *what, uint64_t value)
{
    log_msg(LOG_LEVEL_WARNING, c->conn.export, &c->conn,
            "closing the connection: %s 0x%" PRIx64, what, value);
    return -EPROTO;
}

/* A request's header, whichever of the two kinds it was. */
typedef struct Header {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie;          /* as it came */
    uint64_t offset, len;
    uint64_t payload;         /* bytes that follow it */
} Header;

static size_t header_size(const Client *c)
{
    return c->conn.extended ? sizeof(struct nbd_extended_request) : sizeof(struct nbd_request);
}

/* The bytes are complete.  False: it is none. */
static bool read_header(const Client *c, Header *h)
{
    struct nbd_extended_request wire;

    /* The two kinds differ in the magic number, and in how long the length is, at the end. */
    memcpy(&wire, rx_data(&c->rx), header_size(c));
    h->magic = be32toh(wire.magic);
    h->flags = be16toh(wire.flags);
    h->type = be16toh(wire.type);
    h->cookie = wire.cookie;
    h->offset = be64toh(wire.offset);
    if (c->conn.extended) {
        h->len = be64toh(wire.len);
        h->payload = h->flags & NBD_CMD_FLAG_PAYLOAD_LEN ? h->len : 0;
        return h->magic == NBD_EXTENDED_REQUEST_MAGIC;
    }
    h->len = load_be32((uint8_t *)&wire + offsetof(struct nbd_request, len));
    h->payload = h->type == NBD_CMD_WRITE ? h->len : 0;
    return h->magic == NBD_REQUEST_MAGIC;
}

/* What is the matter with the request as such, before it has done anything. */
static uint32_t coroutine_fn verdict(const Request *req, uint64_t position, char *text)
{
    Client *c = req->client;
    uint32_t error;

    if (c->stopping && position >= c->serve_until) {
        if (c->told_ns == 0) {
            c->told_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
        }
        strcpy(text, "the server is being shut down");
        return NBD_ESHUTDOWN;
    }
    error = request_check(req, text);
    if (error != NBD_SUCCESS && request_is_past_end(req)) {
        export_refresh_size(c->conn.export);
        error = request_check(req, text);
    }
    return error;
}

/*
 * The payload of NBD_CMD_BLOCK_STATUS: the length that is meant, and the numbers of the contexts
 * that the reply is to be about.  It is short enough to be in the buffer, and is taken if it is
 * good; NBD_SUCCESS, or an error and a text.
 */
static uint32_t take_filter(Request *req, uint64_t *payload, char *text)
{
    struct nbd_block_status_filter filter;
    Client *c = req->client;
    const uint8_t *ids = rx_data(&c->rx) + sizeof(filter);
    uint64_t n = (*payload - sizeof(filter)) / sizeof(uint32_t);
    uint32_t set = 0;

    if (*payload % sizeof(uint32_t) || *payload <= sizeof(filter) || n > META_CONTEXTS_MAX) {
        strcpy(text, "block status: no payload can be so long");
        return NBD_EINVAL;
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t id = load_be32(ids + i * sizeof(id));
        uint32_t bit = meta_contexts_by_id(c->conn.export, id) & c->conn.contexts;

        if (!bit || (set & bit)) {
            snprintf(text, ERROR_TEXT_MAX, "block status: context %" PRIu32 " %s", id,
                     bit ? "stands there twice" : "was not negotiated");
            return NBD_EINVAL;
        }
        set |= bit;
    }
    memcpy(&filter, rx_data(&c->rx), sizeof(filter));
    rx_consume(&c->rx, *payload);
    *payload = 0;
    req->len = be64toh(filter.len);
    req->contexts = set;
    return NBD_SUCCESS;
}

/* Reads the payload of a write; its verdict may become "no memory".  What is not wanted is
 * dropped.  -errno: the connection ends. */
static int coroutine_fn take_rest(Request *req, uint64_t payload, uint32_t *error, char *text)
{
    Client *c = req->client;
    int ret = 0;

    if (*error == NBD_SUCCESS) {
        ret = wait_for_turn(req, payload) ? receive_payload(req)
                                          : c->error ? c->error : -ECONNRESET;
        if (ret == 0) {
            *error = NBD_ENOMEM;
            strcpy(text, "out of memory");
        }
    } else if (payload > (c->conn.extended ? DROP_MAX_EXTENDED : DROP_MAX)) {
        return garbage(c, "a payload of a length beyond reason:", payload);
    }
    return ret == 0 ? conn_drop(&c->conn, payload) : ret;
}

/* The header is complete: consumes it and the payload, and starts or refuses the request.
 * -errno: the connection ends. */
static int coroutine_fn take_request(Client *c, const Header *h)
{
    uint64_t position = c->rx.consumed, payload = h->payload;
    uint32_t error = NBD_SUCCESS;
    char text[ERROR_TEXT_MAX];
    Request *req = request_new(c);

    if (!req) {
        return -ENOMEM;
    }
    req->cmd = command_find(h->type);
    req->position = position;
    req->co = NULL;
    req->listed = false;
    req->cookie = h->cookie;
    req->flags = h->flags;
    req->offset = h->offset;
    req->len = h->len;
    c->n_requests++;
    if (!c->tx_blocked) {
        c->stalled_ns = 0;
    }
    rx_consume(&c->rx, header_size(c));
    c->linger = true;
    if (h->type == NBD_CMD_BLOCK_STATUS && payload > 0 && c->conn.contexts) {
        error = take_filter(req, &payload, text);
    }
    if (error == NBD_SUCCESS) {
        error = verdict(req, position, text);
    }
    if (payload > 0) {
        int ret = take_rest(req, payload, &error, text);

        if (ret < 0) {
            request_free(req);
            return ret;
        }
    }
    if (error != NBD_SUCCESS) {
        request_reject(req, error, text);
    } else if (!hold_looks(c) || !hold_take(req)) {
        request_start(req);
    }
    return 0;
}

/* Takes all requests that are in the buffer.  0: *need more bytes, counted from the position. */
static int coroutine_fn take_requests(Client *c, size_t *need)
{
    for (;;) {
        Header h;
        int ret;

        *need = header_size(c);
        if (rx_have(&c->rx) < *need) {
            return 0;
        }
        if (!read_header(c, &h)) {
            return garbage(c, "not a request, magic", h.magic);
        }
        if (h.type == NBD_CMD_DISC) {
            return -ESHUTDOWN;
        }
        if (h.payload <= INLINE_PAYLOAD_MAX) {
            *need += h.payload;
            if (rx_have(&c->rx) < *need) {
                return 0;
            }
        }
        if (!client_admit(c, h.len, h.payload)) {
            return c->error;
        }
        ret = take_request(c, &h);
        if (ret < 0) {
            return ret;
        }
    }
}

/* Told of the stop long ago. */
static bool is_deaf(const Client *c)
{
    return c->told_ns > 0 && qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - c->told_ns > REFUSE_NS;
}

int coroutine_fn transmission_run(Conn *conn)
{
    Client *c = client_of(conn);
    ssize_t ret;

    client_add_busy(c, 1);
    do {
        size_t need;

        ret = take_requests(c, &need);
        if (ret == 0) {
            c->between_requests = rx_have(&c->rx) == 0;
            ret = client_recv(c, NULL, 0, need);
            c->between_requests = false;
            if (ret == 0 && rx_have(&c->rx) > 0) {
                ret = -ECONNRESET;
            }
        }
    } while (ret > 0 && !is_deaf(c));
    if (ret < 0 && ret != -ESHUTDOWN && ret != -ECANCELED && ret != -EPROTO) {
        log_msg(LOG_LEVEL_INFO, conn->export, conn, "connection lost: %s", strerror((int)-ret));
    }
    return ret > 0 ? 0 : (int)ret;
}
