/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies: how they look on the wire, and how they get there, as many as are
 * ready with one sendmsg.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "conn-int.h"
#include "data-pool.h"

#define SEND_IOV_MAX 256
/* Encrypting takes time: the others of the thread get their turn after so many bytes. */
#define TLS_TURN_MAX (1u << 20)

/* ---- on the wire ---- */

static void out_add(Request *req, const void *base, size_t len)
{
    req->out[req->n_out++] = (struct iovec){ (void *)base, len };
}

static void out_start(Request *req, size_t head_len)
{
    req->out = req->out_inline;
    req->n_out = 0;
    out_add(req, req->head, head_len);
}

/* proto.md, "Simple reply message" */
static size_t put_simple(uint8_t *head, uint64_t cookie, uint32_t error)
{
    struct nbd_simple_reply reply = {
        .magic = htobe32(NBD_SIMPLE_REPLY_MAGIC),
        .error = htobe32(error),
        .cookie = cookie,
    };

    memcpy(head, &reply, sizeof(reply));
    return sizeof(reply);
}

/* proto.md, "Structured reply chunk message" and "Extended reply chunk message" */
static size_t put_chunk(uint8_t *head, const Request *req, unsigned flags, unsigned type,
                        size_t len)
{
    if (req->client->conn.extended) {
        struct nbd_extended_reply chunk = {
            .magic = htobe32(NBD_EXTENDED_REPLY_MAGIC),
            .flags = htobe16((uint16_t)flags),
            .type = htobe16((uint16_t)type),
            .cookie = req->cookie,
            .offset = htobe64(req->offset),
            .len = htobe64(len),
        };

        memcpy(head, &chunk, sizeof(chunk));
        return sizeof(chunk);
    } else {
        struct nbd_structured_reply chunk = {
            .magic = htobe32(NBD_STRUCTURED_REPLY_MAGIC),
            .flags = htobe16((uint16_t)flags),
            .type = htobe16((uint16_t)type),
            .cookie = req->cookie,
            .len = htobe32((uint32_t)len),
        };

        memcpy(head, &chunk, sizeof(chunk));
        return sizeof(chunk);
    }
}

static size_t put_done(Request *req)
{
    return put_chunk(req->head, req, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, 0);
}

/* Structured replies are for reads, block status and errors: a plain success is shorter simple,
 * where it may be. */
void reply_success(Request *req)
{
    out_start(req, req->client->conn.extended ? put_done(req)
                                              : put_simple(req->head, req->cookie, NBD_SUCCESS));
}

void reply_empty_read(Request *req)
{
    out_start(req, req->client->conn.structured
                   ? put_done(req) : put_simple(req->head, req->cookie, NBD_SUCCESS));
}

void reply_error(Request *req, uint32_t nbd_error, const char *text)
{
    struct nbd_chunk_error body = { .error = htobe32(nbd_error) };
    size_t text_len = strlen(text);
    size_t len;

    if (!req->client->conn.structured) {
        out_start(req, put_simple(req->head, req->cookie, nbd_error));
        return;
    }
    body.message_len = htobe16((uint16_t)text_len);
    len = put_chunk(req->head, req, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR,
                    sizeof(body) + text_len);
    memcpy(req->head + len, &body, sizeof(body));
    memcpy(req->head + len + sizeof(body), text, text_len);
    out_start(req, len + sizeof(body) + text_len);
}

/* Header of a content chunk; a hole has no data behind it. */
static size_t put_content(uint8_t *head, const Request *req, unsigned flags, uint64_t offset,
                          uint32_t len, bool hole)
{
    struct nbd_chunk_offset_hole body = { .offset = htobe64(offset), .hole_size = htobe32(len) };
    size_t body_len = hole ? sizeof(body) : sizeof(struct nbd_chunk_offset_data);
    size_t n = put_chunk(head, req, flags,
                         hole ? NBD_REPLY_TYPE_OFFSET_HOLE : NBD_REPLY_TYPE_OFFSET_DATA,
                         hole ? body_len : body_len + len);

    memcpy(head + n, &body, body_len);
    return n + body_len;
}

void reply_data(Request *req, const void *data)
{
    size_t n = req->client->conn.structured
               ? put_content(req->head, req, NBD_REPLY_FLAG_DONE, req->offset,
                             (uint32_t)req->len, false)
               : put_simple(req->head, req->cookie, NBD_SUCCESS);

    out_start(req, n);
    out_add(req, data, req->len);
}

/* ---- replies in many chunks ---- */

typedef struct ChunkHeads {
    struct iovec iov[2 * REPLY_CHUNKS_MAX];
    uint8_t head[REPLY_CHUNKS_MAX][REPLY_HEAD_MAX];
} ChunkHeads;

static ChunkHeads *chunks_start(Request *req)
{
    ChunkHeads *heads = malloc(sizeof(*heads));

    if (heads) {
        req->pieces = heads;
        req->out = heads->iov;
        req->n_out = 0;
    }
    return heads;
}

bool reply_pieces(Request *req, const ReadPiece *pieces, unsigned n, const uint8_t *data)
{
    ChunkHeads *heads = chunks_start(req);

    if (!heads) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        const ReadPiece *p = &pieces[i];

        out_add(req, heads->head[i],
                put_content(heads->head[i], req, i == n - 1 ? NBD_REPLY_FLAG_DONE : 0,
                            p->offset, p->len, p->hole));
        if (!p->hole) {
            out_add(req, data + (p->offset - req->offset), p->len);
        }
    }
    return true;
}

/* proto.md, "Structured reply types", NBD_REPLY_TYPE_BLOCK_STATUS and ..._EXT */
static size_t put_status(uint8_t *head, const Request *req, unsigned flags, const StatusChunk *c)
{
    bool extended = req->client->conn.extended;
    struct nbd_chunk_block_status_ext body = {
        .context_id = htobe32(c->context_id), .count = htobe32(c->n_extents),
    };
    size_t body_len = extended ? sizeof(body) : sizeof(struct nbd_chunk_block_status);
    size_t n = put_chunk(head, req, flags,
                         extended ? NBD_REPLY_TYPE_BLOCK_STATUS_EXT : NBD_REPLY_TYPE_BLOCK_STATUS,
                         body_len + c->bytes);

    memcpy(head + n, &body, body_len);
    return n + body_len;
}

bool reply_status(Request *req, const StatusChunk *chunks, unsigned n)
{
    ChunkHeads *heads;

    if (n == 1) {
        out_start(req, put_status(req->head, req, NBD_REPLY_FLAG_DONE, chunks));
        out_add(req, chunks->extents, chunks->bytes);
        return true;
    }
    heads = chunks_start(req);
    if (!heads) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        out_add(req, heads->head[i],
                put_status(heads->head[i], req, i == n - 1 ? NBD_REPLY_FLAG_DONE : 0, &chunks[i]));
        out_add(req, chunks[i].extents, chunks[i].bytes);
    }
    return true;
}

/* ---- the queue ---- */

void reply_queue(Request *req)
{
    Client *c = req->client;

    if (c->error) {
        request_free(req);
        return;
    }
    STAILQ_INSERT_TAIL(&c->replies, req, link);
    /* The connection's coroutine sends before it waits; while it waits, the bottom half does. */
    if (c->wait != WAIT_NONE && !c->tx_blocked) {
        client_kick(c);
    }
}

void reply_discard(Client *c)
{
    Request *req;

    while ((req = STAILQ_FIRST(&c->replies))) {
        STAILQ_REMOVE_HEAD(&c->replies, link);
        if (req != c->repairing) {
            request_free(req);
        }
    }
    c->tx_blocked = false;
}

static _Thread_local struct iovec send_iov[SEND_IOV_MAX];

/* As many pieces as one sendmsg takes. */
static unsigned gather(Client *c)
{
    unsigned n = 0;
    Request *req;

    STAILQ_FOREACH(req, &c->replies, link) {
        for (unsigned i = 0; i < req->n_out; i++) {
            if (n == SEND_IOV_MAX) {
                return n;
            }
            send_iov[n++] = req->out[i];
        }
    }
    return n;
}

/* `sent` bytes have gone: replies that are complete are done with. */
static void advance(Client *c, size_t sent)
{
    Request *req;

    while (sent > 0 && (req = STAILQ_FIRST(&c->replies))) {
        req->reply_begun = true;
        while (req->n_out > 0 && sent >= req->out->iov_len) {
            sent -= req->out->iov_len;
            req->out++;
            req->n_out--;
        }
        if (req->n_out > 0) {
            req->out->iov_base = (uint8_t *)req->out->iov_base + sent;
            req->out->iov_len -= sent;
            return;
        }
        STAILQ_REMOVE_HEAD(&c->replies, link);
        request_free(req);
    }
}

/* ---- a mapping that has lost its memory ---- */

/* `base` in the request's mapping?  Then *offset is its place there. */
static bool in_mapping(const Request *req, const struct iovec *iov, size_t *offset)
{
    uintptr_t base = (uintptr_t)iov->iov_base, start = (uintptr_t)req->map.data;

    *offset = base - start;
    return base >= start && *offset < req->len;
}

/* Another medium has other data. */
static int check_medium(const Request *req)
{
    return req->medium == req->client->conn.export->medium ? 0 : -ENOMEDIUM;
}

/* Reads what is left to send into memory of our own. */
static int coroutine_fn replace_mapping(Request *req)
{
    const Export *export = req->client->conn.export;
    int ret = check_medium(req);

    budget_overdraw(&req->client->budget, req->len);
    req->data_size = req->len;
    req->data = data_get(req->len);
    if (!req->data) {
        budget_give(&req->client->budget, req->len);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < req->n_out && ret == 0; i++) {
        struct iovec *iov = &req->out[i];
        size_t offset;

        if (in_mapping(req, iov, &offset)) {
            QEMUIOVector qiov;

            iov->iov_base = (uint8_t *)req->data + offset;
            qemu_iovec_init_external(&qiov, iov, 1);
            ret = blk_co_preadv(export->blk, (int64_t)(req->offset + offset),
                                (int64_t)iov->iov_len, &qiov, 0);
        }
    }
    blk_unmap(&req->map);
    req->mapped = false;
    return ret == 0 ? check_medium(req) : ret;      /* the reads may have had to wait */
}

static void coroutine_fn repair_co(void *opaque)
{
    Request *req = opaque;
    Client *c = req->client;
    int ret = replace_mapping(req);

    c->repairing = NULL;
    if (c->error) {
        request_free(req);      /* it was taken off the queue meanwhile */
    } else if (ret < 0 && req->reply_begun) {
        /* proto.md, NBD_CMD_READ: an error after success was signalled ends the connection. */
        client_fail(c, ret);
    } else {
        if (ret < 0) {
            request_fill_error(req, ret);
        }
        client_kick(c);
    }
}

/* The kernel could not read a piece.  Mappings that are not stable lose their memory when the
 * file is cut or its disk fails: read anew, one reply after the other, until sending works. */
static bool reply_repair(Client *c)
{
    Request *req;

    STAILQ_FOREACH(req, &c->replies, link) {
        if (req->mapped && !req->map.stable) {
            c->repairing = req;
            qemu_coroutine_enter(qemu_coroutine_create(repair_co), req);
            return true;
        }
    }
    return false;
}

/* ---- sending ---- */

static void send_failed(Client *c, int error)
{
    if (error == -EAGAIN) {
        c->tx_blocked = true;
        client_stalls(c);
    } else if (error != -EFAULT || !reply_repair(c)) {
        client_fail(c, error);
    }
}

void reply_flush(Client *c)
{
    size_t turn = 0;

    if (c->tx_busy || c->tx_blocked) {
        return;
    }
    c->tx_busy = true;
    while (!STAILQ_EMPTY(&c->replies) && !c->tx_blocked && !c->repairing) {
        ssize_t n = channel_send(&c->conn, send_iov, gather(c), false);

        if (n >= 0) {
            c->sent += (size_t)n;
            advance(c, (size_t)n);
            if (STAILQ_EMPTY(&c->replies)) {
                c->stalled_ns = 0;
            }
            turn += (size_t)n;
            c->tx_blocked = c->conn.tls && turn >= TLS_TURN_MAX;
        } else {
            send_failed(c, (int)n);
        }
    }
    c->tx_busy = false;
}
