/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_EXPORT_NAME: the old way to choose an export, which knows no errors.
 */
#include "handshake.h"

#include <errno.h>
#include <stddef.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"

static int coroutine_fn enter(Handshake *hs, Export *export)
{
    struct nbd_export_name_reply reply = { .size = 0 };
    size_t len = hs->conn->no_zeroes ? offsetof(struct nbd_export_name_reply, zeroes)
                                     : sizeof(reply);
    const char *reason;
    int ret;

    export_refresh_size(export);
    if (!export_has_medium(export)) {
        return handshake_violation(hs, "export \"%s\": there is no medium in it now",
                                   export->name);
    }
    if (!handshake_enter(hs, export, &reason)) {
        return handshake_violation(hs, "export \"%s\": %s", export->name, reason);
    }
    store_be64(&reply.size, export->size);
    store_be16(&reply.flags, handshake_flags(hs, export));
    ret = handshake_send(hs, &reply, len);
    return ret < 0 ? ret : HANDSHAKE_DONE;
}

int coroutine_fn handshake_export_name(Handshake *hs)
{
    Export *export;
    int ret;

    if (hs->conn->extended) {
        return handshake_violation(hs, "NBD_OPT_EXPORT_NAME after NBD_OPT_EXTENDED_HEADERS");
    }
    export = handshake_find_export(hs, hs->data, hs->len);
    if (!export) {
        return -EPROTO;     /* logged already */
    }
    ret = enter(hs, export);
    export_unref(export);
    return ret;
}
