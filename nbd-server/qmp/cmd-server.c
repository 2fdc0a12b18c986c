/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about the server as a whole, and about the protocol.
 */
#include "commands.h"
#include "qmp-int.h"

/* ---- the protocol ---- */

json_t *cmd_qmp_capabilities(QmpSession *session, const json_t *args, Error **errp)
{
    (void)errp;
    /* There is but one. */
    qmp_session_set_ready(session, json_array_size(json_object_get(args, "enable")) > 0);
    return json_object();
}

json_t *cmd_query_version(QmpSession *session, const json_t *args, Error **errp)
{
    (void)session;
    (void)args;
    (void)errp;
    return qmp_version();
}

json_t *cmd_query_commands(QmpSession *session, const json_t *args, Error **errp)
{
    json_t *list = json_array();

    (void)session;
    (void)args;
    (void)errp;
    for (size_t i = 0; i < n_qmp_commands; i++) {
        json_array_append_new(list, json_pack("{s:s}", "name", qmp_commands[i].name));
    }
    return list;
}

json_t *cmd_query_qmp_schema(QmpSession *session, const json_t *args, Error **errp)
{
    (void)session;
    (void)args;
    (void)errp;
    return qmp_schema_describe();
}

/* ---- the process ---- */

json_t *cmd_quit(QmpSession *session, const json_t *args, Error **errp)
{
    (void)args;
    (void)errp;
    server_end(qmp_session_server(session), "told so over the control socket");
    return json_object();
}
