/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT.  proto.md, "Metadata querying".
 */
#include "handshake.h"

#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "meta-context.h"

/* What both options hand over, once it is known to be well formed. */
typedef struct MetaRequest {
    Export *export;          /* a reference */
    OptionData queries;      /* after their number */
    uint32_t n_queries;
} MetaRequest;

static bool coroutine_fn malformed(Handshake *hs, int *ret)
{
    *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                           "the lengths in the option do not fit its data");
    return false;
}

/* True if the queries can be read, else *ret is what became of the error reply. */
static bool coroutine_fn check_queries(Handshake *hs, OptionData data, uint32_t n, int *ret)
{
    for (; n; n--) {
        const uint8_t *query;
        uint32_t len;

        if (!option_get_string(&data, &query, &len)) {
            return malformed(hs, ret);
        }
        if (len > NBD_MAX_STRING) {
            *ret = handshake_error(hs, NBD_REP_ERR_TOO_BIG, "query longer than %d bytes",
                                   NBD_MAX_STRING);
            return false;
        }
        if (len == 0 || *query == ':' || !memchr(query, ':', len)) {
            *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                                   "a query must begin with a namespace and a colon");
            return false;
        }
    }
    return data.left == 0 || malformed(hs, ret);
}

/* As check_queries(), for the whole option. */
static bool coroutine_fn parse(Handshake *hs, MetaRequest *req, int *ret)
{
    OptionData data = option_data(hs);
    const uint8_t *name;
    uint32_t name_len;

    if (!hs->conn->structured) {
        *ret = handshake_error(hs, NBD_REP_ERR_INVALID, "metadata contexts need structured "
                               "replies or extended headers: ask for those first");
        return false;
    }
    if (!option_get_string(&data, &name, &name_len)) {
        return malformed(hs, ret);
    }
    if (name_len > NBD_MAX_STRING) {
        *ret = handshake_error(hs, NBD_REP_ERR_TOO_BIG, "export name longer than %d bytes",
                               NBD_MAX_STRING);
        return false;
    }
    if (!option_get_u32(&data, &req->n_queries)) {
        return malformed(hs, ret);
    }
    req->queries = data;
    if (!check_queries(hs, data, req->n_queries, ret)) {
        return false;
    }
    req->export = handshake_find_export(hs, name, name_len);
    if (!req->export) {
        *ret = handshake_no_export(hs);
        return false;
    }
    return true;
}

/* The contexts that the queries mean. */
static uint32_t find_contexts(MetaRequest *req, bool listing)
{
    uint32_t set = 0;

    for (uint32_t i = 0; i < req->n_queries; i++) {
        const uint8_t *query;
        uint32_t len;

        if (option_get_string(&req->queries, &query, &len)) {
            set |= meta_contexts_match(req->export, query, len, listing);
        }
    }
    return set;
}

static int coroutine_fn send_contexts(Handshake *hs, const Export *export, uint32_t set)
{
    int ret = 0;

    for (unsigned i = 0; i < export->n_contexts && ret == 0; i++) {
        char *name = export->contexts[i].name;
        uint32_t be_id;
        struct iovec iov[] = { { &be_id, sizeof(be_id) }, { name, strlen(name) } };

        if (set & UINT32_C(1) << i) {
            store_be32(&be_id, meta_context_id(i));
            ret = handshake_reply(hs, NBD_REP_META_CONTEXT, iov, 2);
        }
    }
    return ret < 0 ? ret : handshake_ack(hs);
}

int coroutine_fn handshake_list_meta_context(Handshake *hs)
{
    MetaRequest req;
    int ret;

    if (!parse(hs, &req, &ret)) {
        return ret;
    }
    /* Without a query it lists everything. */
    ret = send_contexts(hs, req.export, req.n_queries ? find_contexts(&req, true) : UINT32_MAX);
    export_unref(req.export);
    return ret;
}

int coroutine_fn handshake_set_meta_context(Handshake *hs)
{
    MetaRequest req;
    int ret;

    export_unref(hs->meta_export);    /* replaces what was selected, even if it fails */
    hs->meta_export = NULL;
    if (!parse(hs, &req, &ret)) {
        return ret;
    }
    hs->meta_export = req.export;
    hs->meta_contexts = find_contexts(&req, false);
    return send_contexts(hs, req.export, hs->meta_contexts);
}
