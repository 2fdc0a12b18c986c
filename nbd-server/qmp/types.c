/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "commands.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "ShutdownCause", "host-qmp-quit | host-signal | guest-shutdown" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },
    { "XHandshakeStats", "ok int, failed int, left int" },
    { "XLogLevel", "error | warning | notice | info | debug" },
    { "XLogLevelInfo", "level XLogLevel" },
    { "XReloadChange", "export str, settings [str]" },
    { "XReloadInfo", "added [str], changed [XReloadChange], removed [str], restart [str]" },
    { "XServerInfo", "version str, pid int, uptime int, uris [str], exports int, clients int, "
                     "max-clients int, memory int, max-memory int, threads int, "
                     "handshakes XHandshakeStats, tls-handshakes XHandshakeStats" },

    /* Exports. */
    { "BlockdevOnError", "report | ignore | enospc | stop | auto" },
    { "BlockErrorAction", "ignore | report | stop" },
    { "BlockExportInfo", "id str, type BlockExportType, node-name str, shutting-down bool" },
    { "BlockExportRemoveMode", "safe | hard | soft | hide" },
    { "BlockExportType", "nbd" },
    { "IoOperationType", "read | write" },
    { "XErrorPolicy", "on-read-error BlockdevOnError, on-write-error BlockdevOnError" },
    { "XExportFlag", "read-only | flush | fua | rotational | trim | write-zeroes | multi-conn | "
      "cache | fast-zero" },
    { "XExportInfo", "id str, name str, state XExportState, read-only bool, hidden bool, "
      "dynamic bool, removed bool, size size, clients int, in-flight int, throttle-waits int, "
      "throttle-wait-ns int, flags [XExportFlag], "
      "settings XExportSettings, *description str, *image str, *format str, node-name str" },
    { "XExportSettings", "..." },
    { "XExportState", "running | paused | io-error | no-medium | removed" },
    { "XExportStateReason", "added | removed | brought-back | paused | resumed | error | "
      "medium-out | medium-in | on-eject | server-ends" },
    { "XExportStateInfo", "id str, state XExportState" },

    /* Clients. */
    { "XClientInfo", "id int, peer str, state XClientState, since int, tls bool, read-only bool, "
      "requests int, errors int, bytes-read int, bytes-written int, in-flight int, held int, "
      "throttled int, throttle-waits int, throttle-wait-ns int, memory size, "
      "*export str, *uid int, *pid int, *tls-name str" },
    { "XClientKickResult", "kicked int" },
    { "XClientState", "handshake | transmission | ending" },

    /* Limits. */
    { "XThrottleClient", "peers [str], waiting int, waits int, wait-ns int" },
    { "XThrottleInfo", "id str, *group str, members [str], limits XThrottleLimits, "
      "client-limits XThrottleLimits, waits int, wait-ns int, clients [XThrottleClient]" },
    { "XThrottleLimits", THROTTLE_SETTINGS },
    { "XThrottleScope", "export | client" },

    /* Nodes. */
    { "BlockdevOptions", "driver str, node-name str, ..." },
    { "BlockdevCacheInfo", "writeback bool, direct bool, no-flush bool" },
    { "BlockdevDetectZeroesOptions", "off | on | unmap" },
    { "BlockDirtyInfo", "*name str, count int, granularity int, recording bool, busy bool, "
      "persistent bool, *inconsistent bool" },
    { "SnapshotInfo", "id str, name str, vm-state-size int, date-sec int, date-nsec int, "
      "vm-clock-sec int, vm-clock-nsec int, *icount int" },
    { "ImageInfo", "filename str, format str, *dirty-flag bool, *actual-size int, "
      "virtual-size int, *cluster-size int, *encrypted bool, *compressed bool, "
      "*backing-filename str, *full-backing-filename str, *backing-filename-format str, "
      "*snapshots [SnapshotInfo], *backing-image ImageInfo, *format-specific any" },
    { "BlockDeviceInfo", "file str, *node-name str, ro bool, drv str, *backing_file str, "
      "backing_file_depth int, encrypted bool, detect_zeroes BlockdevDetectZeroesOptions, "
      "bps int, bps_rd int, bps_wr int, iops int, iops_rd int, iops_wr int, image ImageInfo, "
      "*bps_max int, *bps_rd_max int, *bps_wr_max int, *iops_max int, *iops_rd_max int, "
      "*iops_wr_max int, *bps_max_length int, *bps_rd_max_length int, *bps_wr_max_length int, "
      "*iops_max_length int, *iops_rd_max_length int, *iops_wr_max_length int, *iops_size int, "
      "*group str, cache BlockdevCacheInfo, write_threshold int, "
      "*dirty-bitmaps [BlockDirtyInfo]" },

    /* Exports. */
    { "BlockDeviceIoStatus", "ok | failed | nospace" },
    { "BlockInfo", "device str, *qdev str, type str, removable bool, locked bool, "
      "*inserted BlockDeviceInfo, *tray_open bool, *io-status BlockDeviceIoStatus" },
    { "BlockdevChangeReadOnlyMode", "retain | read-only | read-write" },
    { "BlockLatencyHistogramInfo", "boundaries [int], bins [int]" },
    { "BlockDeviceTimedStats", "interval_length int, min_rd_latency_ns int, "
      "max_rd_latency_ns int, avg_rd_latency_ns int, min_wr_latency_ns int, "
      "max_wr_latency_ns int, avg_wr_latency_ns int, min_flush_latency_ns int, "
      "max_flush_latency_ns int, avg_flush_latency_ns int, avg_rd_queue_depth number, "
      "avg_wr_queue_depth number" },
    { "BlockDeviceStats", "rd_bytes int, wr_bytes int, unmap_bytes int, rd_operations int, "
      "wr_operations int, flush_operations int, unmap_operations int, rd_total_time_ns int, "
      "wr_total_time_ns int, flush_total_time_ns int, unmap_total_time_ns int, "
      "wr_highest_offset int, rd_merged int, wr_merged int, unmap_merged int, "
      "*idle_time_ns int, failed_rd_operations int, failed_wr_operations int, "
      "failed_flush_operations int, failed_unmap_operations int, invalid_rd_operations int, "
      "invalid_wr_operations int, invalid_flush_operations int, invalid_unmap_operations int, "
      "account_invalid bool, account_failed bool, timed_stats [BlockDeviceTimedStats], "
      "*rd_latency_histogram BlockLatencyHistogramInfo, "
      "*wr_latency_histogram BlockLatencyHistogramInfo, "
      "*flush_latency_histogram BlockLatencyHistogramInfo" },
    { "BlockStats", "*device str, *qdev str, *node-name str, stats BlockDeviceStats, "
      "*parent BlockStats, *backing BlockStats" },

    /* Snapshots and jobs. */
    { "NewImageMode", "existing | absolute-paths" },
    { "JobType", "commit" },
    { "JobStatus", "undefined | created | running | paused | ready | standby | waiting | pending "
      "| aborting | concluded | null" },
    { "JobInfo", "id str, type JobType, status JobStatus, current-progress int, "
      "total-progress int, *error str" },
    { "BlockJobInfo", "type JobType, device str, len int, offset int, busy bool, paused bool, "
      "speed int, io-status BlockDeviceIoStatus, ready bool, status JobStatus, "
      "auto-finalize bool, auto-dismiss bool, *error str" },
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
