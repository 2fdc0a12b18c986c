/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_LIST: the names of the exports that the client may enter, with their descriptions.
 */
#include "handshake.h"

#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"

static int coroutine_fn list_one(Handshake *hs, const Export *export)
{
    const char *description = export->description ? export->description : "";
    const size_t name_len = strlen(export->name);
    uint32_t be_len;
    struct iovec iov[] = {
        { &be_len, sizeof(be_len) },
        { export->name, name_len },
        { (char *)description, strlen(description) },
    };

    store_be32(&be_len, (uint32_t)name_len);
    return handshake_reply(hs, NBD_REP_SERVER, iov, 3);
}

int coroutine_fn handshake_list(Handshake *hs)
{
    Export *export;

    TAILQ_FOREACH(export, &hs->server->exports, link) {
        int ret = handshake_access(hs, export) == ACCESS_NONE ? 0 : list_one(hs, export);

        if (ret < 0) {
            return ret;
        }
    }
    return handshake_ack(hs);
}
