/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a monitoring system reads (--metrics): from the table of metrics to a page over HTTP.
 *
 *   metrics.c        the table, and where each number comes from
 *   metrics-text.c   how numbers are written
 *   metrics-http.c   serves it, in a thread of its own;  metrics-none.c: a build without
 */
#ifndef NBD_EXPORT_METRICS_H
#define NBD_EXPORT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blkbackend/error.h>

typedef struct Server Server;

/* ---- metrics-http.c ---- */

bool metrics_start(Server *server, Error **errp);    /* [main] listens, if --metrics was given */
void metrics_stop(void);                             /* [main] ends that */

/* ---- metrics.c ---- */

/* All of it, as OpenMetrics 1.0 or else as Prometheus' text format 0.0.4; the caller frees it.
 * NULL: no memory.  [any thread] */
char *metrics_page(Server *server, bool openmetrics, size_t *len);

/* ---- metrics-text.c ---- */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };

/* What is known of a metric before there is a number: its head on the page. */
typedef struct MetricHead {
    const char *name;            /* without the _total of counters and the _info of OpenMetrics */
    enum metric_type type;
    const char *unit;            /* the last word of the name, or "" */
    const char *help;
} MetricHead;

typedef struct MetricsText MetricsText;

MetricsText *metrics_text_new(bool openmetrics);                 /* NULL: no memory */
/* The page, which the caller frees; NULL: no memory.  Frees text. */
char *metrics_text_end(MetricsText *text, size_t *len);
void metrics_text_head(MetricsText *text, const MetricHead *head);
/*
 * A number of the metric whose head came last.  labels is "", or NAME="VALUE" with commas between,
 * values as metrics_escape() makes them; so is more, which comes after it.
 */
void metrics_text_value(MetricsText *text, const char *labels, const char *more, uint64_t value);
void metrics_text_seconds(MetricsText *text, const char *labels, const char *more, uint64_t ns);
/* n bounds and n + 1 bins. */
void metrics_text_histogram(MetricsText *text, const char *labels, const char *more,
                            const uint64_t *bounds_ns, const uint64_t *bins, unsigned n,
                            uint64_t sum_ns);
/* The value of a label; the caller frees it; NULL: no memory. */
char *metrics_escape(const char *value);

#endif
