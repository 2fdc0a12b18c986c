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
    { "x-log-level", "*level XLogLevel", "XLogLevelInfo", cmd_x_log_level,
      "how much is logged, from now on or as it is" },
    { "x-query-server", "", "XServerInfo", cmd_x_query_server, "how the server is" },
    { "x-reload", "", "XReloadInfo", cmd_x_reload, "reads the configuration file again" },
    { "x-tls-reload", "", "", cmd_x_tls_reload, "reads certificates and keys again" },

    /* Exports. */
    { "block-export-add", "type BlockExportType, id str, node-name str, *writable bool, "
      "*writethrough bool, *name str, *description str, *bitmaps [str], *allocation-depth bool", "",
      cmd_block_export_add, "serves a node" },
    { "block-export-del", "id str, *mode BlockExportRemoveMode", "", cmd_block_export_del,
      "removes an export" },
    { "query-block-exports", "", "[BlockExportInfo]", cmd_query_block_exports, "all exports" },
    { "x-export-add", "name str, image str, *id str, ...", "", cmd_x_export_add,
      "serves an image, with any key of --export" },
    { "x-export-drain", "*id str", "", cmd_x_export_drain,
      "waits until what is in flight is done, and flushes" },
    { "x-export-pause", "id str", "XExportStateInfo", cmd_x_export_pause,
      "has requests wait, with all that was written on the disk" },
    { "x-export-resume", "id str", "XExportStateInfo", cmd_x_export_resume,
      "lets requests go on, and failed ones run again" },
    { "x-export-set", "id str, ...", "XExportSettings", cmd_x_export_set,
      "changes settings of a running export" },
    { "x-query-exports", "", "[XExportInfo]", cmd_x_query_exports,
      "all exports, with their settings" },
    { "x-set-error-policy", "device str, *on-read-error BlockdevOnError, "
      "*on-write-error BlockdevOnError", "XErrorPolicy", cmd_x_set_error_policy,
      "what becomes of requests that the image fails" },

    /* Clients. */
    { "x-client-kick", "*id int, *peer str, *export str, *force bool", "XClientKickResult",
      cmd_x_client_kick, "ends connections" },
    { "x-query-clients", "*export str", "[XClientInfo]", cmd_x_query_clients,
      "all connections, and what they have done" },
};
const size_t n_qmp_commands = sizeof(qmp_commands) / sizeof(qmp_commands[0]);
