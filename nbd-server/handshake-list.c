/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_LIST: the names of the exports that the client may enter, with their descriptions.
 */
#include "handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "config.h"
#include "export-dir.h"

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

static int coroutine_fn list_exports(Handshake *hs)
{
    Export **all = exports_snapshot(hs->server);
    int ret = all ? 0 : -ENOMEM;

    for (Export **next = all; ret == 0 && *next; next++) {
        ret = handshake_access(hs, *next) == ACCESS_NONE ? 0 : list_one(hs, *next);
    }
    exports_snapshot_free(all);
    return ret;
}

static int coroutine_fn list_dir(Handshake *hs)
{
    char **names = export_dir_names(hs->conn);
    int ret = names ? 0 : -ENOMEM;

    for (char **next = names; next && *next; next++) {
        ret = ret < 0 ? ret : send_name(hs, *next, "");
        free(*next);
    }
    free(names);
    return ret;
}

int coroutine_fn handshake_list(Handshake *hs)
{
    int ret;

    if (!hs->server->config->allow_list) {
        return handshake_error(hs, NBD_REP_ERR_POLICY, "this server does not list its exports");
    }
    ret = list_exports(hs);
    if (ret == 0 && handshake_may_use_dir(hs)) {
        ret = list_dir(hs);
    }
    return ret < 0 ? ret : handshake_ack(hs);
}
