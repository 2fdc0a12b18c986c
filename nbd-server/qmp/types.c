/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "qmp.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },

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
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
