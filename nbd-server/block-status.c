/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_CMD_BLOCK_STATUS: for each meta context that is asked about, a list of extents from the
 * range's beginning on.  proto.md, "Request types".
 *
 * A reply may tell about less than was asked for; so what one request may cost is bounded.
 */
#include <errno.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "conn-int.h"
#include "meta-context.h"

/* A reply: room for this many extents, of all contexts. */
#define EXTENTS_MAX 8192
/* The image is asked about so much at once ... */
#define QUERY_MAX (INT64_C(1) << 30)
/* ... so often in a row before others get their turn, and so often in all for a context. */
#define QUERIES_A_TURN 64
#define QUERIES_MAX (2 * EXTENTS_MAX)

/* The extents of one context as they grow, in the wire's format. */
typedef struct Extents {
    uint8_t *data;
    unsigned n, max;
    bool extended;
    uint64_t len, state;     /* of the last one */
} Extents;

static size_t extent_size(bool extended)
{
    return extended ? sizeof(struct nbd_extent_ext) : sizeof(struct nbd_extent);
}

static void store_last(const Extents *e)
{
    uint8_t *at = e->data + (e->n - 1) * extent_size(e->extended);

    if (e->extended) {
        struct nbd_extent_ext extent = { htobe64(e->len), htobe64(e->state) };

        memcpy(at, &extent, sizeof(extent));
    } else {
        struct nbd_extent extent = { htobe32((uint32_t)e->len), htobe32((uint32_t)e->state) };

        memcpy(at, &extent, sizeof(extent));
    }
}

/* Neighbours differ.  False: it is full. */
static bool add_extent(Extents *e, uint64_t len, uint64_t state)
{
    if (e->n > 0 && e->state == state) {
        e->len += len;
    } else if (e->n == e->max) {
        return false;
    } else {
        e->n++;
        e->len = len;
        e->state = state;
    }
    store_last(e);
    return true;
}

/* An error counts only if nothing was found out before it. */
static int coroutine_fn find_extents(Request *req, const MetaContext *context, Extents *e)
{
    BlockBackend *blk = req->client->conn.export->blk;
    int64_t offset = (int64_t)req->offset, end = offset + (int64_t)req->len;

    for (unsigned queries = 1; offset < end && queries <= QUERIES_MAX; queries++) {
        int64_t pnum = 0;
        int ret = context->state(context, blk, offset,
                                 end - offset < QUERY_MAX ? end - offset : QUERY_MAX, &pnum);

        if (ret < 0 || pnum == 0) {
            return e->n > 0 ? 0 : ret < 0 ? ret : -EIO;
        }
        if (!add_extent(e, (uint64_t)pnum, (unsigned)ret)) {
            return 0;
        }
        offset += pnum;
        if (queries % QUERIES_A_TURN == 0) {
            ret = request_give_way(req);
            if (ret < 0) {
                return ret;
            }
        }
    }
    return 0;
}

int coroutine_fn request_run_block_status(Request *req)
{
    const Conn *conn = &req->client->conn;
    unsigned contexts = (unsigned)__builtin_popcount(req->contexts), n = 0;
    unsigned max = req->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : EXTENTS_MAX / contexts;
    size_t room = max * extent_size(conn->extended);
    StatusChunk chunks[META_CONTEXTS_MAX];
    int ret = request_get_data(req, contexts * room);

    for (unsigned i = 0; i < conn->export->n_contexts && ret == 0; i++) {
        Extents e = { .data = (uint8_t *)req->data + n * room, .max = max,
                      .extended = conn->extended };

        if (!(req->contexts & UINT32_C(1) << i)) {
            continue;
        }
        ret = find_extents(req, &conn->export->contexts[i], &e);
        chunks[n++] = (StatusChunk){ .context_id = meta_context_id(i), .n_extents = e.n,
                                     .extents = e.data, .bytes = e.n * extent_size(e.extended) };
    }
    if (ret == 0 && !reply_status(req, chunks, n)) {
        ret = -ENOMEM;
    }
    return ret;
}
