/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two formats that metrics are written in, which differ in little: OpenMetrics 1.0, and what
 * came before it, Prometheus' text format 0.0.4.  Series have the same names in both.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct MetricsText {
    FILE *file;
    char *data;
    size_t len;
    bool openmetrics;
    const MetricHead *head;
};

static const char *const type_names[][2] = {
    [METRIC_COUNTER] = { "counter", "counter" },
    [METRIC_GAUGE] = { "gauge", "gauge" },
    [METRIC_HISTOGRAM] = { "histogram", "histogram" },
    [METRIC_INFO] = { "gauge", "info" },
};

/* What the name of a sample ends with. */
static const char *const suffixes[] = {
    [METRIC_COUNTER] = "_total",
    [METRIC_GAUGE] = "",
    [METRIC_HISTOGRAM] = "",
    [METRIC_INFO] = "_info",
};

MetricsText *metrics_text_new(bool openmetrics)
{
    MetricsText *text = calloc(1, sizeof(*text));

    if (text) {
        text->openmetrics = openmetrics;
        text->file = open_memstream(&text->data, &text->len);
        if (!text->file) {
            free(text);
            text = NULL;
        }
    }
    return text;
}

char *metrics_text_end(MetricsText *text, size_t *len)
{
    char *data;
    bool ok;

    if (text->openmetrics) {
        fputs("# EOF\n", text->file);
    }
    ok = !ferror(text->file);
    ok &= fclose(text->file) == 0;
    data = text->data;
    *len = text->len;
    if (!ok) {
        free(data);
        data = NULL;
    }
    free(text);
    return data;
}

void metrics_text_head(MetricsText *text, const MetricHead *head)
{
    /* In the older format it is the samples' name that has a type. */
    const char *suffix = text->openmetrics ? "" : suffixes[head->type];

    text->head = head;
    fprintf(text->file, "# TYPE %s%s %s\n", head->name, suffix,
            type_names[head->type][text->openmetrics]);
    if (text->openmetrics && *head->unit) {
        fprintf(text->file, "# UNIT %s %s\n", head->name, head->unit);
    }
    fprintf(text->file, "# HELP %s%s %s\n", head->name, suffix, head->help);
}

/* The labels, and the space before the value. */
static void put_labels(MetricsText *text, const char *labels, const char *more)
{
    if (*labels || *more) {
        fprintf(text->file, "{%s%s%s}", labels, *labels && *more ? "," : "", more);
    }
    fputc(' ', text->file);
}

static void put_seconds(MetricsText *text, uint64_t ns)
{
    fprintf(text->file, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void put_name(MetricsText *text, const char *labels, const char *more)
{
    fprintf(text->file, "%s%s", text->head->name, suffixes[text->head->type]);
    put_labels(text, labels, more);
}

void metrics_text_value(MetricsText *text, const char *labels, const char *more, uint64_t value)
{
    put_name(text, labels, more);
    fprintf(text->file, "%" PRIu64 "\n", value);
}

void metrics_text_seconds(MetricsText *text, const char *labels, const char *more, uint64_t ns)
{
    put_name(text, labels, more);
    put_seconds(text, ns);
}

/* As OpenMetrics wants it, "Considerations: Canonical Numbers": 1.0, 0.001, 1e-05. */
static void format_bound(uint64_t ns, char *buf, size_t size)
{
    snprintf(buf, size, "%g", (double)ns / 1e9);
    if (!strpbrk(buf, ".e")) {
        strcat(buf, ".0");
    }
}

void metrics_text_histogram(MetricsText *text, const char *labels, const char *more,
                            const uint64_t *bounds_ns, const uint64_t *bins, unsigned n,
                            uint64_t sum_ns)
{
    const char *name = text->head->name;
    uint64_t count = 0;

    for (unsigned i = 0; i <= n; i++) {
        char bound[32] = "+Inf", le[128];

        if (i < n) {
            format_bound(bounds_ns[i], bound, sizeof(bound));
        }
        count += bins[i];
        snprintf(le, sizeof(le), "%s%sle=\"%s\"", more, *more ? "," : "", bound);
        fprintf(text->file, "%s_bucket", name);
        put_labels(text, labels, le);
        fprintf(text->file, "%" PRIu64 "\n", count);
    }
    fprintf(text->file, "%s_count", name);
    put_labels(text, labels, more);
    fprintf(text->file, "%" PRIu64 "\n%s_sum", count, name);
    put_labels(text, labels, more);
    put_seconds(text, sum_ns);
}

char *metrics_escape(const char *value)
{
    char *escaped = malloc(2 * strlen(value) + 1), *to = escaped;

    for (; escaped && *value; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n') {
            *to++ = '\\';
        }
        *to++ = *value == '\n' ? 'n' : *value;
    }
    if (escaped) {
        *to = '\0';
    }
    return escaped;
}
