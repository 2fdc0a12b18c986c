/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT.  proto.md, "Metadata querying".
 *
 * There is one context, base:allocation.
 */
#include "handshake.h"

#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"

#define BASE_ALLOCATION_ID 1    /* any number that is unique among the selected contexts */

/* The data of both options. */
typedef struct MetaRequest {
    Export *export;          /* a reference once parse() was true */
    bool base_allocation;    /* a query asks for it */
} MetaRequest;

/* -1 if the query is not one: it has no namespace. */
static int match_query(const uint8_t *query, uint32_t len, bool listing, bool *base_allocation)
{
    const size_t base_len = strlen(NBD_META_BASE);
    const uint8_t *colon = memchr(query, ':', len);

    if (!colon || colon == query) {
        return -1;
    }
    /* "base:" alone is a wildcard when listing and selects nothing when setting; namespaces and
     * leaf names that we do not know must be ignored: "The base: metadata namespace". */
    if (len == base_len && memcmp(query, NBD_META_BASE, base_len) == 0) {
        *base_allocation |= listing;
    } else if (len == strlen(NBD_META_BASE_ALLOCATION) &&
               memcmp(query, NBD_META_BASE_ALLOCATION, len) == 0) {
        *base_allocation = true;
    }
    return 0;
}

/* The queries, whose number comes first.  True if they were understood, else *ret is what became
 * of the error reply. */
static bool coroutine_fn parse_queries(Handshake *hs, OptionData *data, bool listing,
                                       bool *base_allocation, int *ret)
{
    uint32_t n;

    if (!option_get_u32(data, &n)) {
        goto malformed;
    }
    /* Listing without a query lists everything; setting without one selects nothing. */
    *base_allocation = n == 0 && listing;
    for (; n; n--) {
        const uint8_t *query;
        uint32_t len;

        if (!option_get_string(data, &query, &len)) {
            goto malformed;
        }
        if (len > NBD_MAX_STRING) {
            *ret = handshake_error(hs, NBD_REP_ERR_TOO_BIG, "query longer than %d bytes",
                                   NBD_MAX_STRING);
            return false;
        }
        if (match_query(query, len, listing, base_allocation) < 0) {
            *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                                   "a query must begin with a namespace and a colon");
            return false;
        }
    }
    if (data->left) {
        goto malformed;
    }
    return true;

malformed:
    *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                           "the lengths in the option do not fit its data");
    return false;
}

/* As parse_queries(), for the whole option. */
static bool coroutine_fn parse(Handshake *hs, bool listing, MetaRequest *req, int *ret)
{
    OptionData data = option_data(hs);
    const uint8_t *name;
    uint32_t name_len;

    if (!hs->conn->structured) {
        *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                               "metadata contexts need structured replies: ask for those first");
        return false;
    }
    if (!option_get_string(&data, &name, &name_len)) {
        *ret = handshake_error(hs, NBD_REP_ERR_INVALID,
                               "the lengths in the option do not fit its data");
        return false;
    }
    if (name_len > NBD_MAX_STRING) {
        *ret = handshake_error(hs, NBD_REP_ERR_TOO_BIG, "export name longer than %d bytes",
                               NBD_MAX_STRING);
        return false;
    }
    if (!parse_queries(hs, &data, listing, &req->base_allocation, ret)) {
        return false;
    }
    req->export = handshake_find_export(hs, name, name_len);
    if (!req->export) {
        *ret = handshake_error(hs, NBD_REP_ERR_UNKNOWN, "there is no export of that name");
        return false;
    }
    return true;
}

static int coroutine_fn send_context(Handshake *hs, uint32_t id)
{
    uint32_t be_id;
    struct iovec iov[] = {
        { &be_id, sizeof(be_id) },
        { (char *)NBD_META_BASE_ALLOCATION, strlen(NBD_META_BASE_ALLOCATION) },
    };

    store_be32(&be_id, id);
    return handshake_reply(hs, NBD_REP_META_CONTEXT, iov, 2);
}

int coroutine_fn handshake_list_meta_context(Handshake *hs)
{
    MetaRequest req = { .export = NULL };
    int ret = 0;

    if (!parse(hs, true, &req, &ret)) {
        return ret;
    }
    if (req.base_allocation) {
        ret = send_context(hs, 0);
    }
    export_unref(req.export);
    return ret < 0 ? ret : handshake_ack(hs);
}

int coroutine_fn handshake_set_meta_context(Handshake *hs)
{
    MetaRequest req = { .export = NULL };
    int ret = 0;

    export_unref(hs->meta_export);    /* replaces what was selected, even if it fails */
    hs->meta_export = NULL;
    if (!parse(hs, false, &req, &ret)) {
        return ret;
    }
    if (req.base_allocation) {
        hs->meta_export = export_ref(req.export);
        hs->conn->meta_context_id = BASE_ALLOCATION_ID;
        ret = send_context(hs, BASE_ALLOCATION_ID);
    }
    export_unref(req.export);
    return ret < 0 ? ret : handshake_ack(hs);
}
