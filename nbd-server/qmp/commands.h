/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of the table of commands, in its order. */
#ifndef NBD_EXPORT_QMP_COMMANDS_H
#define NBD_EXPORT_QMP_COMMANDS_H

#include "qmp.h"

/* ---- cmd-server.c ---- */

QmpHandler cmd_qmp_capabilities, cmd_query_version, cmd_query_commands, cmd_query_qmp_schema,
    cmd_quit;

/* ---- cmd-throttle.c ---- */

QmpHandler cmd_block_set_io_throttle, cmd_x_query_throttle, cmd_x_set_throttle;

/* Limits under the names that they have as settings. */
#define THROTTLE_MEMBERS(name) "*" name " size, *" name "-max size, *" name "-max-length size, "
#define THROTTLE_SETTINGS \
    THROTTLE_MEMBERS("bps-total") THROTTLE_MEMBERS("bps-read") THROTTLE_MEMBERS("bps-write") \
    THROTTLE_MEMBERS("iops-total") THROTTLE_MEMBERS("iops-read") THROTTLE_MEMBERS("iops-write") \
    "*iops-size size"

#endif
