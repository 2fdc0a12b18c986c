/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_STARTTLS, and what a client without TLS gets to see.  proto.md, "TLS support".
 */
#include <errno.h>

#include "common/nbd-protocol.h"
#include "config.h"
#include "handshake.h"
#include "tls.h"

bool handshake_needs_tls(const Handshake *hs)
{
    return tls_is_required(hs->tls) && !hs->conn->tls;
}

bool handshake_lacks_tls(const Handshake *hs, const ExportConfig *cfg)
{
    return cfg->tls == TLS_REQUIRE && !hs->conn->tls;
}

int coroutine_fn handshake_no_export(Handshake *hs)
{
    bool may_say_so = hs->option == NBD_OPT_INFO || hs->option == NBD_OPT_GO;

    /* The same for an export that is hidden and for one that does not exist. */
    if (may_say_so && hs->tls && !hs->conn->tls) {
        return handshake_error(hs, NBD_REP_ERR_TLS_REQD, "no such export is served without TLS");
    }
    return handshake_error(hs, NBD_REP_ERR_UNKNOWN, "there is no export of that name");
}

/* What was negotiated in the clear may be another's doing. */
static void forget_negotiated(Handshake *hs)
{
    hs->conn->structured = false;
    hs->conn->extended = false;
    export_unref(hs->meta_export);
    hs->meta_export = NULL;
    hs->meta_contexts = 0;
}

int coroutine_fn handshake_starttls(Handshake *hs)
{
    int ret;

    if (!hs->tls) {
        return handshake_error(hs, NBD_REP_ERR_UNSUP, "this server does not offer TLS");
    }
    if (hs->conn->tls) {
        return handshake_error(hs, NBD_REP_ERR_INVALID, "the connection uses TLS already");
    }
    ret = handshake_ack(hs);
    if (ret == 0) {
        ret = handshake_flush(hs);
    }
    if (ret == 0) {
        ret = conn_start_tls(hs->conn, hs->tls);
        atomic_fetch_add(ret < 0 ? &hs->server->tls_handshakes.failed
                                 : &hs->server->tls_handshakes.ok, 1);
    }
    if (ret == 0) {
        forget_negotiated(hs);
    }
    return ret < 0 ? ret : HANDSHAKE_NEXT;
}
