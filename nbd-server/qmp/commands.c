/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of commands.  Dispatch, the checks of arguments, introspection and the check of the
 * manual all come from it: a new command is a row, and a function in a cmd-*.c.
 */
#include "commands.h"

const QmpCommand qmp_commands[] = {
    /* The server. */
    { "qmp_capabilities", "*enable [QMPCapability]", "", cmd_qmp_capabilities,
      .help = "ends the negotiation: the first command of all" },
    { "query-commands", "", "[CommandInfo]", cmd_query_commands,
      .help = "the names of all commands", .allow_oob = true },
    { "query-qmp-schema", "", "[SchemaInfo]", cmd_query_qmp_schema,
      .help = "all commands, events and types", .allow_oob = true },
    { "query-version", "", "VersionInfo", cmd_query_version, .help = "who is there",
      .allow_oob = true },
    { "quit", "", "", cmd_quit, .help = "ends the server as SIGTERM does", .allow_oob = true },
    { "x-log-level", "*level XLogLevel", "XLogLevelInfo", cmd_x_log_level,
      .help = "how much is logged, from now on or as it is", .allow_oob = true },
    { "x-query-server", "", "XServerInfo", cmd_x_query_server, .help = "how the server is",
      .allow_oob = true },
    { "x-reload", "", "XReloadInfo", cmd_x_reload, .help = "reads the configuration file again" },
    { "x-tls-reload", "", "", cmd_x_tls_reload, .help = "reads certificates and keys again" },

    /* Exports. */
    { "block-export-add", "type BlockExportType, id str, node-name str, *writable bool, "
      "*writethrough bool, *name str, *description str, *bitmaps [str], *allocation-depth bool", "",
      cmd_block_export_add, .help = "serves a node" },
    { "block-export-del", "id str, *mode BlockExportRemoveMode", "", cmd_block_export_del,
      .help = "removes an export" },
    { "query-block-exports", "", "[BlockExportInfo]", cmd_query_block_exports,
      .help = "all exports", .allow_oob = true },
    { "x-export-add", "name str, image str, *id str, ...", "", cmd_x_export_add,
      .help = "serves an image, with any key of --export" },
    { "x-export-drain", "*id str", "", cmd_x_export_drain,
      .help = "waits until what is in flight is done, and flushes" },
    { "x-export-pause", "id str", "XExportStateInfo", cmd_x_export_pause,
      .help = "has requests wait, with all that was written on the disk" },
    { "x-export-resume", "id str", "XExportStateInfo", cmd_x_export_resume,
      .help = "lets requests go on, and failed ones run again", .allow_oob = true },
    { "x-export-set", "id str, ...", "XExportSettings", cmd_x_export_set,
      .help = "changes settings of a running export" },
    { "x-query-exports", "", "[XExportInfo]", cmd_x_query_exports,
      .help = "all exports, with their settings", .allow_oob = true },
    { "x-set-error-policy", "device str, *on-read-error BlockdevOnError, "
      "*on-write-error BlockdevOnError", "XErrorPolicy", cmd_x_set_error_policy,
      .help = "what becomes of requests that the image fails" },

    /* Clients. */
    { "x-client-kick", "*id int, *peer str, *export str, *force bool", "XClientKickResult",
      cmd_x_client_kick, .help = "ends connections", .allow_oob = true },
    { "x-query-clients", "*export str", "[XClientInfo]", cmd_x_query_clients,
      .help = "all connections, and what they have done", .allow_oob = true },

    /* Limits. */
    { "block_set_io_throttle",
      "*device str, *id str, bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, "
      "*bps_max int, *bps_rd_max int, *bps_wr_max int, *iops_max int, *iops_rd_max int, "
      "*iops_wr_max int, *bps_max_length int, *bps_rd_max_length int, *bps_wr_max_length int, "
      "*iops_max_length int, *iops_rd_max_length int, *iops_wr_max_length int, *iops_size int, "
      "*group str", "", cmd_block_set_io_throttle, .help = "sets all limits of an export" },
    { "x-query-throttle", "id str", "XThrottleInfo", cmd_x_query_throttle,
      .help = "the limits of an export and of its clients, and who waits", .allow_oob = true },
    { "x-set-throttle", "id str, *scope XThrottleScope, *group str, " THROTTLE_SETTINGS,
      "XThrottleInfo", cmd_x_set_throttle,
      .help = "changes limits of an export, or of each client" },

    /* Nodes. */
    { "blockdev-add", "driver str, node-name str, ...", "", cmd_blockdev_add,
      .help = "opens an image as a node" },
    { "blockdev-del", "node-name str", "", cmd_blockdev_del,
      .help = "closes a node that blockdev-add has opened" },
    { "blockdev-reopen", "options [BlockdevOptions]", "", cmd_blockdev_reopen,
      .help = "makes nodes writable or read-only, and changes how they are cached" },

    /* What there is, and what it has done. */
    { "query-block", "", "[BlockInfo]", cmd_query_block,
      .help = "the exports, and what is in them" },
    { "query-named-block-nodes", "*flat bool", "[BlockDeviceInfo]", cmd_query_named_block_nodes,
      .help = "the nodes" },
    { "query-blockstats", "*query-nodes bool", "[BlockStats]", cmd_query_blockstats,
      .help = "what exports have read and written, and how long it took", .allow_oob = true },
    { "block-latency-histogram-set",
      "id str, *boundaries [size], *boundaries-read [size], *boundaries-write [size], "
      "*boundaries-flush [size]", "", cmd_block_latency_histogram_set,
      .help = "counts operations by their latency" },

    /* Media. */
    { "eject", "*device str, *id str, *force bool", "", cmd_eject,
      .help = "opens the tray and takes the medium out" },
    { "blockdev-open-tray", "*device str, *id str, *force bool", "", cmd_blockdev_open_tray,
      .help = "puts the medium out of reach" },
    { "blockdev-close-tray", "*device str, *id str", "", cmd_blockdev_close_tray,
      .help = "lets clients reach the medium again" },
    { "blockdev-remove-medium", "*device str, *id str", "", cmd_blockdev_remove_medium,
      .help = "takes the medium out of the open tray" },
    { "blockdev-insert-medium", "*device str, *id str, node-name str", "",
      cmd_blockdev_insert_medium, .help = "puts a node into the open tray" },
    { "blockdev-change-medium",
      "*device str, *id str, filename str, *format str, *force bool, "
      "*read-only-mode BlockdevChangeReadOnlyMode", "", cmd_blockdev_change_medium,
      .help = "exchanges the medium for another image" },
    { "block_resize", "*device str, *node-name str, size int, *x-force bool", "",
      cmd_block_resize, .help = "changes the size of an image" },
    { "x-set-write-cache", "*device str, *id str, enable bool", "", cmd_x_set_write_cache,
      .help = "switches the write cache" },

    /* Dirty bitmaps. */
    { "block-dirty-bitmap-add",
      "node str, name str, *granularity size, *persistent bool, *disabled bool", "",
      cmd_block_dirty_bitmap_add, .help = "begins to record what is written" },
    { "block-dirty-bitmap-remove", "node str, name str", "", cmd_block_dirty_bitmap_remove,
      .help = "removes a bitmap, from the image too" },
    { "block-dirty-bitmap-clear", "node str, name str", "", cmd_block_dirty_bitmap_clear,
      .help = "makes all of a bitmap clean" },
    { "block-dirty-bitmap-enable", "node str, name str", "", cmd_block_dirty_bitmap_enable,
      .help = "lets a bitmap record" },
    { "block-dirty-bitmap-disable", "node str, name str", "", cmd_block_dirty_bitmap_disable,
      .help = "lets a bitmap stay as it is" },
    { "block-dirty-bitmap-merge", "node str, target str, bitmaps [any]", "",
      cmd_block_dirty_bitmap_merge, .help = "adds to a bitmap what others have recorded" },

    /* Snapshots. */
    { "blockdev-snapshot", "node str, overlay str", "", cmd_blockdev_snapshot,
      .help = "puts a node on top of an export's image" },
    { "blockdev-snapshot-delete-internal-sync", "device str, *id str, *name str", "SnapshotInfo",
      cmd_blockdev_snapshot_delete_internal_sync,
      .help = "deletes a snapshot that the image keeps" },
    { "blockdev-snapshot-internal-sync", "device str, name str", "",
      cmd_blockdev_snapshot_internal_sync, .help = "has the image keep its content of now" },
    { "blockdev-snapshot-sync", "*device str, *node-name str, snapshot-file str, "
      "*snapshot-node-name str, *format str, *mode NewImageMode", "", cmd_blockdev_snapshot_sync,
      .help = "makes an overlay that takes what is written from now on" },

    /* Jobs. */
    { "block-commit", "*job-id str, device str, *base-node str, *base str, *top-node str, "
      "*top str, *backing-file str, *speed size, *on-error BlockdevOnError, "
      "*auto-finalize bool, *auto-dismiss bool", "", cmd_block_commit,
      .help = "merges overlays into an image below them" },
    { "job-cancel", "id str", "", cmd_job_cancel, .help = "ends a job without a result" },
    { "job-complete", "id str", "", cmd_job_complete,
      .help = "has a job that is ready come to its end" },
    { "job-dismiss", "id str", "", cmd_job_dismiss, .help = "forgets a job that has ended" },
    { "job-finalize", "id str", "", cmd_job_finalize,
      .help = "lets a pending job do its last step" },
    { "job-pause", "id str", "", cmd_job_pause, .help = "stops a job" },
    { "job-resume", "id str", "", cmd_job_resume, .help = "lets a job go on" },
    { "query-jobs", "", "[JobInfo]", cmd_query_jobs, .help = "all jobs", .allow_oob = true },
    { "block-job-cancel", "device str, *force bool", "", cmd_block_job_cancel,
      .help = "ends a job, or has it end in time" },
    { "block-job-complete", "device str", "", cmd_block_job_complete, .help = "as job-complete" },
    { "block-job-dismiss", "id str", "", cmd_block_job_dismiss, .help = "as job-dismiss" },
    { "block-job-finalize", "id str", "", cmd_block_job_finalize, .help = "as job-finalize" },
    { "block-job-pause", "device str", "", cmd_block_job_pause, .help = "as job-pause" },
    { "block-job-resume", "device str", "", cmd_block_job_resume, .help = "as job-resume" },
    { "block-job-set-speed", "device str, speed size", "", cmd_block_job_set_speed,
      .help = "changes how fast a job may copy" },
    { "query-block-jobs", "", "[BlockJobInfo]", cmd_query_block_jobs,
      .help = "all jobs, and their state", .allow_oob = true },
};
const size_t n_qmp_commands = sizeof(qmp_commands) / sizeof(qmp_commands[0]);
