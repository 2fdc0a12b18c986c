/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of the table of commands, in its order. */
#ifndef NBD_EXPORT_QMP_COMMANDS_H
#define NBD_EXPORT_QMP_COMMANDS_H

#include "qmp.h"

/* ---- cmd-server.c ---- */

QmpHandler cmd_qmp_capabilities, cmd_query_version, cmd_query_commands, cmd_query_qmp_schema,
    cmd_quit;

/* ---- cmd-process.c ---- */

QmpHandler cmd_x_log_level, cmd_x_query_server, cmd_x_reload, cmd_x_tls_reload;
/* ---- cmd-exports.c ---- */

QmpHandler cmd_block_export_add, cmd_block_export_del, cmd_query_block_exports, cmd_x_export_add,
    cmd_x_query_exports;

/* ---- cmd-export-control.c ---- */

QmpHandler cmd_x_export_drain, cmd_x_export_pause, cmd_x_export_resume, cmd_x_export_set,
    cmd_x_set_error_policy;

/* ---- cmd-clients.c ---- */

QmpHandler cmd_x_client_kick, cmd_x_query_clients;

#endif
