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

    /* Limits. */
    { "block_set_io_throttle",
      "*device str, *id str, bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, "
      "*bps_max int, *bps_rd_max int, *bps_wr_max int, *iops_max int, *iops_rd_max int, "
      "*iops_wr_max int, *bps_max_length int, *bps_rd_max_length int, *bps_wr_max_length int, "
      "*iops_max_length int, *iops_rd_max_length int, *iops_wr_max_length int, *iops_size int, "
      "*group str", "", cmd_block_set_io_throttle, "sets all limits of an export" },
    { "x-query-throttle", "id str", "XThrottleInfo", cmd_x_query_throttle,
      "the limits of an export and of its clients, and who waits" },
    { "x-set-throttle", "id str, *scope XThrottleScope, *group str, " THROTTLE_SETTINGS,
      "XThrottleInfo", cmd_x_set_throttle, "changes limits of an export, or of each client" },
};
const size_t n_qmp_commands = sizeof(qmp_commands) / sizeof(qmp_commands[0]);
