/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of the table of commands, in its order. */
#ifndef NBD_EXPORT_QMP_COMMANDS_H
#define NBD_EXPORT_QMP_COMMANDS_H

#include "qmp.h"

/* ---- cmd-server.c ---- */

QmpHandler cmd_qmp_capabilities, cmd_query_version, cmd_query_commands, cmd_query_qmp_schema,
    cmd_quit;

/* ---- cmd-nodes.c ---- */

QmpHandler cmd_blockdev_add, cmd_blockdev_del, cmd_blockdev_reopen;

/* ---- cmd-query-block.c, cmd-blockstats.c ---- */

QmpHandler cmd_query_block, cmd_query_named_block_nodes, cmd_query_blockstats,
    cmd_block_latency_histogram_set;

/* ---- cmd-media.c ---- */

QmpHandler cmd_eject, cmd_blockdev_open_tray, cmd_blockdev_close_tray, cmd_blockdev_remove_medium,
    cmd_blockdev_insert_medium, cmd_blockdev_change_medium, cmd_block_resize,
    cmd_x_set_write_cache;

/* ---- cmd-bitmap.c ---- */

QmpHandler cmd_block_dirty_bitmap_add, cmd_block_dirty_bitmap_remove, cmd_block_dirty_bitmap_clear,
    cmd_block_dirty_bitmap_enable, cmd_block_dirty_bitmap_disable, cmd_block_dirty_bitmap_merge;

#endif
