/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands that add, change and remove nodes: nodes.c does it.
 */
#include "nbd-server/nodes.h"
#include "commands.h"

static json_t *done(bool ok)
{
    return ok ? json_object() : NULL;
}

json_t *cmd_blockdev_add(QmpSession *session, const json_t *args, Error **errp)
{
    return done(nodes_add(qmp_session_server(session), args, errp));
}

json_t *cmd_blockdev_del(QmpSession *session, const json_t *args, Error **errp)
{
    return done(nodes_remove(qmp_session_server(session), qmp_str(args, "node-name", ""), errp));
}

json_t *cmd_blockdev_reopen(QmpSession *session, const json_t *args, Error **errp)
{
    return done(nodes_reopen(qmp_session_server(session), json_object_get(args, "options"),
                             errp));
}
