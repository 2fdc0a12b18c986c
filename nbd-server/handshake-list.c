/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_LIST: the names of the exports that the client may enter, with their descriptions.
 */
#include "handshake.h"

#include <errno.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "config.h"

static int coroutine_fn send_name(Handshake *hs, const char *name, const char *description)
{
    const size_t name_len = strlen(name);
    uint32_t be_len;
    struct iovec iov[] = {
        { &be_len, sizeof(be_len) },
        { (char *)name, name_len },
        { (char *)description, strlen(description) },
    };

    store_be32(&be_len, (uint32_t)name_len);
    return handshake_reply(hs, NBD_REP_SERVER, iov, 3);
}

static int coroutine_fn list_one(Handshake *hs, Export *export)
{
    ExportConfig *cfg = export_settings(export);
    const char *description = cfg->description ? cfg->description : "";
    int ret = cfg->hidden ? 0 : send_name(hs, export->name, description);

    export_config_unref(cfg);
    return ret;
}

int coroutine_fn handshake_list(Handshake *hs)
{
    Export **all;
    int ret;

    if (!hs->server->config->allow_list) {
        return handshake_error(hs, NBD_REP_ERR_POLICY, "this server does not list its exports");
    }
    all = exports_snapshot(hs->server);
    ret = all ? 0 : -ENOMEM;
    for (Export **next = all; ret == 0 && *next; next++) {
        ret = handshake_access(hs, *next) == ACCESS_NONE ? 0 : list_one(hs, *next);
    }
    exports_snapshot_free(all);
    return ret < 0 ? ret : handshake_ack(hs);
}
