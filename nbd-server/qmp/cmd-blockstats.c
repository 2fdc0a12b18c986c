/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What exports have done, and how long it took: query-blockstats, block-latency-histogram-set.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "commands.h"

static const char *const type_names[BLOCK_MAX_IOTYPE] = {
    [BLOCK_ACCT_READ] = "rd", [BLOCK_ACCT_WRITE] = "wr", [BLOCK_ACCT_FLUSH] = "flush",
};

/* The key is of a type of operations: "%s" in format stands for its name. */
static void put(json_t *dict, const char *format, const char *type, json_t *value)
{
    char key[64];

    snprintf(key, sizeof(key), format, type);
    json_object_set_new(dict, key, value);
}

static void put_count(json_t *dict, const char *format, const char *type, uint64_t value)
{
    put(dict, format, type, json_integer((json_int_t)value));
}

/* ---- counters ---- */

static uint64_t read_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* acct NULL: a node counts nothing. */
static void put_counters(json_t *dict, const BlockAcctStats *acct)
{
    static const BlockAcctStats none;

    acct = acct ? acct : &none;
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        const char *type = type_names[i];

        if (i != BLOCK_ACCT_FLUSH) {
            put_count(dict, "%s_bytes", type, read_counter(&acct->nr_bytes[i]));
            put_count(dict, "%s_merged", type, read_counter(&acct->merged[i]));
        }
        put_count(dict, "%s_operations", type, read_counter(&acct->nr_ops[i]));
        put_count(dict, "%s_total_time_ns", type, read_counter(&acct->total_time_ns[i]));
        put_count(dict, "failed_%s_operations", type, read_counter(&acct->failed_ops[i]));
        put_count(dict, "invalid_%s_operations", type, read_counter(&acct->invalid_ops[i]));
    }
    qdict_put(dict, "account_invalid", qbool_from_bool(acct->account_invalid));
    qdict_put(dict, "account_failed", qbool_from_bool(acct->account_failed));
}

/* Trims; what was refused counts among what has failed. */
static void put_unmap(json_t *dict, Export *export)
{
    static const CommandStats none;
    Stats *stats = export ? xcalloc(1, sizeof(*stats)) : NULL;
    const CommandStats *trim = stats ? &stats->commands[STATS_TRIM] : &none;

    if (stats) {
        stats_of_export(export, stats);
    }
    put_count(dict, "unmap_bytes", "", trim->bytes);
    put_count(dict, "unmap_operations", "", trim->operations);
    put_count(dict, "unmap_total_time_ns", "", trim->total_ns);
    put_count(dict, "unmap_merged", "", 0);
    put_count(dict, "failed_unmap_operations", "", trim->errors);
    put_count(dict, "invalid_unmap_operations", "", 0);
    free(stats);
}

/* ---- latencies ---- */

static json_t *describe_interval(BlockAcctTimedStats *interval)
{
    json_t *dict = json_object();

    put_count(dict, "interval_length", "", interval->interval_length);
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        TimedAverage *latency = &interval->latency[i];

        put_count(dict, "min_%s_latency_ns", type_names[i], timed_average_min(latency));
        put_count(dict, "max_%s_latency_ns", type_names[i], timed_average_max(latency));
        put_count(dict, "avg_%s_latency_ns", type_names[i], timed_average_avg(latency));
        if (i != BLOCK_ACCT_FLUSH) {
            put(dict, "avg_%s_queue_depth", type_names[i],
                json_real(block_acct_queue_depth(interval, (enum BlockAcctType)i)));
        }
    }
    return dict;
}

static json_t *describe_intervals(BlockAcctStats *acct)
{
    BlockAcctTimedStats *interval = NULL;
    json_t *list = json_array();

    while (acct && (interval = block_acct_interval_next(acct, interval))) {
        json_array_append_new(list, describe_interval(interval));
    }
    return list;
}

static json_t *number_list(const uint64_t *numbers, unsigned n)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_array_append_new(list, json_integer((json_int_t)numbers[i]));
    }
    return list;
}

/* NULL: there is none. */
static json_t *describe_histogram(BlockAcctStats *acct, enum BlockAcctType type)
{
    unsigned n = block_latency_histogram_get(acct, type, NULL, NULL, 0);
    auto_free uint64_t *boundaries = xcalloc(n + 1, sizeof(*boundaries));
    auto_free uint64_t *bins = xcalloc(n + 1, sizeof(*bins));

    if (n == 0) {
        return NULL;
    }
    block_latency_histogram_get(acct, type, boundaries, bins, n);
    return json_pack("{s:o, s:o}", "boundaries", number_list(boundaries, n),
                     "bins", number_list(bins, n + 1));
}

static void put_latencies(json_t *dict, BlockAcctStats *acct)
{
    qdict_put(dict, "timed_stats", describe_intervals(acct));
    if (!acct) {
        return;
    }
    if (__atomic_load_n(&acct->last_access_time_ns, __ATOMIC_RELAXED) > 0) {
        put_count(dict, "idle_time_ns", "", (uint64_t)block_acct_idle_time_ns(acct));
    }
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        json_t *histogram = describe_histogram(acct, (enum BlockAcctType)i);

        if (histogram) {
            put(dict, "%s_latency_histogram", type_names[i], histogram);
        }
    }
}

/* ---- BlockStats ---- */

/* Of a node (or NULL), and of the export whose medium it is (or NULL). */
static json_t *describe_stats(BlockDriverState *bs, Export *export)
{
    BlockAcctStats *acct = export ? blk_get_stats(export->blk) : NULL;
    json_t *stats = json_object();

    put_counters(stats, acct);
    put_unmap(stats, export);
    put_latencies(stats, acct);
    put_count(stats, "wr_highest_offset", "", bs ? bdrv_get_wr_highest_offset(bs) : 0);
    return stats;
}

static json_t *describe_node(BlockDriverState *bs, Export *export, bool with_backing)
{
    json_t *dict = json_object();

    qdict_put(dict, "stats", describe_stats(bs, export));
    if (!bs) {
        return dict;
    }
    qdict_put(dict, "node-name", qstring_from_str(bdrv_get_node_name(bs)));
    if (bdrv_file(bs)) {
        qdict_put(dict, "parent", describe_node(bdrv_file(bs), NULL, with_backing));
    }
    if (with_backing && bdrv_backing(bs)) {
        qdict_put(dict, "backing", describe_node(bdrv_backing(bs), NULL, true));
    }
    return dict;
}

static json_t *all_nodes(void)
{
    BlockDriverState *bs = NULL;
    json_t *list = json_array();

    while ((bs = bdrv_next_node(bs))) {
        if (bdrv_get_format_name(bs)) {
            json_array_append_new(list, describe_node(bs, NULL, false));
        }
    }
    return list;
}

json_t *cmd_query_blockstats(QmpSession *session, const json_t *args, Error **errp)
{
    Export **all;
    json_t *list;

    (void)errp;
    if (qmp_bool(args, "query-nodes", false)) {
        return all_nodes();
    }
    list = json_array();
    all = exports_snapshot(qmp_session_server(session));
    for (Export **next = all; next && *next; next++) {
        json_t *dict = describe_node(blk_bs((*next)->blk), *next, true);

        qdict_put(dict, "device", qstring_from_str((*next)->id));
        qdict_put(dict, "qdev", qstring_from_str((*next)->id));
        json_array_append_new(list, dict);
    }
    exports_snapshot_free(all);
    return list;
}

/* ---- block-latency-histogram-set ---- */

static bool set_histogram(BlockAcctStats *acct, enum BlockAcctType type, const char *key,
                          const json_t *list, Error **errp)
{
    size_t n = json_array_size(list);
    auto_free uint64_t *boundaries = xcalloc(n + 1, sizeof(*boundaries));

    for (size_t i = 0; i < n; i++) {
        boundaries[i] = (uint64_t)json_integer_value(json_array_get(list, i));
    }
    if (block_latency_histogram_set(acct, type, boundaries, (unsigned)n) < 0) {
        error_setg(errp, "Parameter '%s' should be numbers of nanoseconds that rise from 1 on",
                   key);
        return false;
    }
    return true;
}

static bool set_histograms(BlockAcctStats *acct, const json_t *args, Error **errp)
{
    static const char *const keys[BLOCK_MAX_IOTYPE] = {
        [BLOCK_ACCT_READ] = "boundaries-read", [BLOCK_ACCT_WRITE] = "boundaries-write",
        [BLOCK_ACCT_FLUSH] = "boundaries-flush",
    };
    bool some = false;

    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        const char *key = qmp_has(args, keys[i]) ? keys[i] : "boundaries";

        if (qmp_has(args, key)) {
            some = true;
            if (!set_histogram(acct, (enum BlockAcctType)i, key, json_object_get(args, key),
                               errp)) {
                return false;
            }
        }
    }
    if (!some) {
        block_latency_histograms_clear(acct);
    }
    return true;
}

json_t *cmd_block_latency_histogram_set(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    BlockAcctStats *acct;
    bool ok;

    if (!export) {
        return NULL;
    }
    acct = blk_get_stats(export->blk);
    ok = set_histograms(acct, args, errp);
    /* Counting does not yield, so nobody counts into the old ones after that. */
    iothreads_synchronize(qmp_session_server(session));
    block_latency_histograms_reclaim(acct);
    export_unref(export);
    return ok ? json_object() : NULL;
}
