/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of the table of commands, in its order. */
#ifndef NBD_EXPORT_QMP_COMMANDS_H
#define NBD_EXPORT_QMP_COMMANDS_H

#include "qmp.h"

/* ---- cmd-server.c ---- */

QmpHandler cmd_qmp_capabilities, cmd_query_version, cmd_query_commands, cmd_query_qmp_schema,
    cmd_quit;

#endif
