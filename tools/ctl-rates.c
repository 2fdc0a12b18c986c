/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened between two looks at the server, a second: rows for top. */
#include "tools/ctl.h"

#include <stdlib.h>
#include <string.h>

/* ---- looks ---- */

/* Lists of the server by the names of what is in them: objects with the same order. */
static json_t *by_name(json_t *list, const char *key)
{
    json_t *named = json_object(), *each;
    size_t i;

    json_array_foreach(list, i, each) {
        const json_t *name = json_object_get(each, key);

        if (json_is_string(name)) {
            json_object_set(named, json_string_value(name), each);
        } else if (json_is_integer(name)) {
            char text[32];

            snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(name));
            json_object_set(named, text, each);
        }
    }
    json_decref(list);
    return named;
}

json_t *ctl_rates_look(Ctl *ctl)
{
    json_t *exports = ctl_call(ctl, "x-query-exports", NULL), *clients, *stats;

    if (!exports) {
        return NULL;
    }
    clients = ctl_call(ctl, "x-query-clients", NULL);
    stats = clients ? ctl_call(ctl, "query-blockstats", NULL) : NULL;
    if (!stats) {
        json_decref(exports);
        json_decref(clients);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o}", "exports", by_name(exports, "id"),
                     "clients", by_name(clients, "id"), "stats", by_name(stats, "device"));
}

/* ---- differences ---- */

/* What key has grown by; who has begun anew has grown from 0. */
static double growth(const json_t *now, const json_t *then, const char *key)
{
    json_int_t n = ctl_int(now, key), t = ctl_int(then, key);

    return (double)(n >= t ? n - t : n);
}

/* The sum over a list of keys, NULL at its end. */
static double growth_of_all(const json_t *now, const json_t *then, const char *const *keys)
{
    double sum = 0;

    for (; *keys; keys++) {
        sum += growth(now, then, *keys);
    }
    return sum;
}

typedef struct Bin {
    double low, high, count;     /* ns; high < low: no end */
} Bin;

static int compare_bins(const void *a, const void *b)
{
    const Bin *x = a, *y = b;

    return (x->low > y->low) - (x->low < y->low);
}

/* What a histogram has grown by, behind n bins; the new n. */
static size_t add_bins(Bin *bins, size_t n, size_t max, const json_t *now, const json_t *then)
{
    const json_t *bounds = json_object_get(now, "boundaries");
    const json_t *counts = json_object_get(now, "bins"), *before = json_object_get(then, "bins");
    bool same = json_equal(bounds, json_object_get(then, "boundaries"));
    json_t *count;
    size_t i;

    json_array_foreach(counts, i, count) {
        json_int_t c = json_integer_value(count);
        json_int_t b = same ? json_integer_value(json_array_get(before, i)) : 0;

        if (c > 0 && n < max) {
            bins[n++] = (Bin){
                .low = i ? json_number_value(json_array_get(bounds, i - 1)) : 0,
                .high = json_number_value(json_array_get(bounds, i)),
                .count = (double)(c >= b ? c - b : c),
            };
        }
    }
    return n;
}

/* As if what is in a bin were spread over it evenly. */
static double percentile(const Bin *bins, size_t n, double total, double part)
{
    double below = 0;

    for (size_t i = 0; i < n; i++) {
        if (bins[i].count > 0 && below + bins[i].count >= part * total) {
            double within = (part * total - below) / bins[i].count;

            return bins[i].high < bins[i].low ? bins[i].low
                                              : bins[i].low + within * (bins[i].high - bins[i].low);
        }
        below += bins[i].count;
    }
    return 0;
}

/* Both kinds of requests together; nothing where there were none. */
static void put_latencies(json_t *row, const json_t *now, const json_t *then)
{
    static const char *const names[] = { "rd_latency_histogram", "wr_latency_histogram" };
    Bin bins[512];
    size_t n = 0;
    double total = 0;

    for (size_t i = 0; i < 2; i++) {
        n = add_bins(bins, n, sizeof(bins) / sizeof(bins[0]), json_object_get(now, names[i]),
                     json_object_get(then, names[i]));
    }
    qsort(bins, n, sizeof(bins[0]), compare_bins);
    for (size_t i = 0; i < n; i++) {
        total += bins[i].count;
    }
    if (total > 0) {
        json_object_set_new(row, "latency-p50-ns", json_real(percentile(bins, n, total, 0.50)));
        json_object_set_new(row, "latency-p99-ns", json_real(percentile(bins, n, total, 0.99)));
    }
}

/* ---- rows ---- */

static json_t *export_row(const json_t *now, const json_t *stats, const json_t *then,
                          const json_t *old_stats, double seconds)
{
    static const char *const times[] = { "rd_total_time_ns", "wr_total_time_ns",
                                         "unmap_total_time_ns", "zone_append_total_time_ns", NULL };
    static const char *const errors[] = {
        "failed_rd_operations", "failed_wr_operations", "failed_unmap_operations",
        "failed_flush_operations", "invalid_rd_operations", "invalid_wr_operations",
        "invalid_unmap_operations", "invalid_flush_operations", NULL,
    };
    double waited = growth(now, then, "throttle-wait-ns");
    double busy = growth_of_all(stats, old_stats, times);
    json_t *row = json_pack("{s:s, s:s, s:I, s:I}", "export", ctl_str(now, "name"),
                            "state", ctl_str(now, "state"), "clients",
                            (json_int_t)ctl_int(now, "clients"), "in-flight",
                            (json_int_t)ctl_int(now, "in-flight"));

    json_object_set_new(row, "read-iops",
                        json_real(growth(stats, old_stats, "rd_operations") / seconds));
    json_object_set_new(row, "write-iops",
                        json_real(growth(stats, old_stats, "wr_operations") / seconds));
    json_object_set_new(row, "read-bps",
                        json_real(growth(stats, old_stats, "rd_bytes") / seconds));
    json_object_set_new(row, "write-bps",
                        json_real(growth(stats, old_stats, "wr_bytes") / seconds));
    put_latencies(row, stats, old_stats);
    json_object_set_new(row, "throttled-percent",
                        json_real(waited < busy ? 100 * waited / busy : waited > 0 ? 100 : 0));
    json_object_set_new(row, "errors", json_integer((json_int_t)growth_of_all(stats, old_stats,
                                                                            errors)));
    return row;
}

static json_t *client_row(const json_t *now, const json_t *then, double seconds)
{
    json_t *row = json_pack("{s:O, s:s, s:s, s:I}", "client", json_object_get(now, "id"),
                            "export", ctl_str(now, "export"), "peer", ctl_str(now, "peer"),
                            "in-flight", (json_int_t)ctl_int(now, "in-flight"));

    json_object_set_new(row, "iops", json_real(growth(now, then, "requests") / seconds));
    json_object_set_new(row, "read-bps", json_real(growth(now, then, "bytes-read") / seconds));
    json_object_set_new(row, "write-bps", json_real(growth(now, then, "bytes-written") / seconds));
    json_object_set_new(row, "errors", json_integer((json_int_t)growth(now, then, "errors")));
    return row;
}

static double activity(const json_t *row)
{
    static const char *const keys[] = { "read-iops", "write-iops", "iops" };
    double sum = 0;

    for (size_t i = 0; i < 3; i++) {
        sum += json_number_value(json_object_get(row, keys[i]));
    }
    return sum;
}

static int compare_rows(const void *a, const void *b)
{
    double x = activity(*(json_t *const *)a), y = activity(*(json_t *const *)b);

    return (x < y) - (x > y);
}

/* The busiest first. */
static json_t *sorted(json_t *rows)
{
    size_t n = json_array_size(rows);
    json_t **order = calloc(n + 1, sizeof(*order));
    json_t *result = json_array();

    for (size_t i = 0; i < n; i++) {
        order[i] = json_array_get(rows, i);
    }
    qsort(order, n, sizeof(*order), compare_rows);
    for (size_t i = 0; i < n; i++) {
        json_array_append(result, order[i]);
    }
    free(order);
    json_decref(rows);
    return result;
}

static const json_t *stats_of(const json_t *look, const char *id)
{
    return json_object_get(json_object_get(json_object_get(look, "stats"), id), "stats");
}

json_t *ctl_rates(const json_t *then, const json_t *now, double seconds)
{
    json_t *exports = json_array(), *clients = json_array(), *each;
    const char *name;

    json_object_foreach(json_object_get(now, "exports"), name, each) {
        const json_t *before = json_object_get(json_object_get(then, "exports"), name);

        json_array_append_new(exports, export_row(each, stats_of(now, name), before,
                                                  stats_of(then, name), seconds));
    }
    json_object_foreach(json_object_get(now, "clients"), name, each) {
        json_array_append_new(clients, client_row(
            each, json_object_get(json_object_get(then, "clients"), name), seconds));
    }
    return json_pack("{s:f, s:o, s:o}", "seconds", seconds, "exports", sorted(exports),
                     "clients", sorted(clients));
}
