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
/* ---- cmd-throttle.c ---- */

QmpHandler cmd_block_set_io_throttle, cmd_x_query_throttle, cmd_x_set_throttle;

/* Adds them to an object, as QEMU calls them. */
void qmp_put_limits(json_t *object, const ThrottleConfig *limits);

/* Limits under the names that they have as settings. */
#define THROTTLE_MEMBERS(name) "*" name " size, *" name "-max size, *" name "-max-length size, "
#define THROTTLE_SETTINGS \
    THROTTLE_MEMBERS("bps-total") THROTTLE_MEMBERS("bps-read") THROTTLE_MEMBERS("bps-write") \
    THROTTLE_MEMBERS("iops-total") THROTTLE_MEMBERS("iops-read") THROTTLE_MEMBERS("iops-write") \
    "*iops-size size"
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

/* ---- cmd-snapshot.c ---- */

QmpHandler cmd_blockdev_snapshot, cmd_blockdev_snapshot_delete_internal_sync,
    cmd_blockdev_snapshot_internal_sync, cmd_blockdev_snapshot_sync;

/* ---- cmd-job.c ---- */

QmpHandler cmd_block_commit, cmd_job_cancel, cmd_job_complete, cmd_job_dismiss, cmd_job_finalize,
    cmd_job_pause, cmd_job_resume, cmd_query_jobs, cmd_block_job_cancel, cmd_block_job_complete,
    cmd_block_job_dismiss, cmd_block_job_finalize, cmd_block_job_pause, cmd_block_job_resume,
    cmd_block_job_set_speed, cmd_query_block_jobs;

#endif
