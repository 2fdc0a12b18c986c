/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of commands.  Dispatch, the checks of arguments, introspection and the check of the
 * manual all come from it: a new command is a row, and a function in a cmd-*.c.
 */
#include "commands.h"

const QmpCommand qmp_commands[] = {
    /* The server. */
    { "qmp_capabilities", "*enable [QMPCapability]", "", cmd_qmp_capabilities,
      "ends the negotiation: the first command of all" },
    { "query-commands", "", "[CommandInfo]", cmd_query_commands, "the names of all commands" },
    { "query-qmp-schema", "", "[SchemaInfo]", cmd_query_qmp_schema,
      "all commands, events and types" },
    { "query-version", "", "VersionInfo", cmd_query_version, "who is there" },
    { "quit", "", "", cmd_quit, "ends the server as SIGTERM does" },
};
const size_t n_qmp_commands = sizeof(qmp_commands) / sizeof(qmp_commands[0]);
