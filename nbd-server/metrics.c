/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of metrics: a new one is a row, and a line of the manual.
 *
 * First all numbers are taken, then they are written: no lock is held for longer than it takes to
 * copy them, and the numbers of one export are of one moment.
 */
#include "metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "server.h"

/* ---- the numbers ---- */

typedef struct ExportNumbers {
    char *label;                    /* export="NAME" */
    Stats stats;
    uint64_t ok, refused;           /* handshakes */
    uint64_t clients, size;
    uint64_t throttle_waits, throttle_wait_ns;
    unsigned gate;
    bool read_only;
} ExportNumbers;

typedef struct Numbers {
    Server *server;
    ExportNumbers *exports;
    size_t n;
} Numbers;

static bool take_export(ExportNumbers *to, Export *export)
{
    auto_free char *escaped = metrics_escape(export->name);

    if (!escaped || asprintf(&to->label, "export=\"%s\"", escaped) < 0) {
        to->label = NULL;
        return false;
    }
    stats_of_export(export, &to->stats);
    to->ok = export->handshakes.ok;
    to->refused = export->handshakes.failed;
    to->clients = export->clients;
    to->size = export->size;
    to->throttle_waits = export->throttle_waits;
    to->throttle_wait_ns = export->throttle_wait_ns;
    to->gate = export->gate;
    to->read_only = export->read_only;
    return true;
}

/* References would make exports look used, which a reload minds: the list is locked instead. */
static bool take_exports(Numbers *numbers)
{
    Server *server = numbers->server;
    Export *export;
    size_t n = 0;
    bool ok;

    pthread_mutex_lock(&server->exports_lock);
    TAILQ_FOREACH(export, &server->exports, link) {
        n++;
    }
    numbers->exports = calloc(n + 1, sizeof(numbers->exports[0]));
    ok = numbers->exports != NULL;
    TAILQ_FOREACH(export, &server->exports, link) {
        if (ok && !export->superseded) {     /* two series of one name would be an error */
            ok = take_export(&numbers->exports[numbers->n++], export);
        }
    }
    pthread_mutex_unlock(&server->exports_lock);
    return ok;
}

static void free_numbers(Numbers *numbers)
{
    for (size_t i = 0; i < numbers->n; i++) {
        free(numbers->exports[i].label);
    }
    free(numbers->exports);
}

/* ---- of an export ---- */

/* What the table's functions get: numbers, and where they go. */
typedef struct Page {
    MetricsText *text;
    const Numbers *numbers;
    const ExportNumbers *export;    /* NULL: the metric is the server's */
} Page;

static void put(const Page *page, const char *more, uint64_t value)
{
    metrics_text_value(page->text, page->export ? page->export->label : "", more, value);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#define COMMAND_LABEL_MAX 32

static void format_command(char *label, enum stats_command command)
{
    snprintf(label, COMMAND_LABEL_MAX, "command=\"%s\"", stats_command_names[command]);
}

static void put_operations(const Page *page)
{
    char label[COMMAND_LABEL_MAX];

    for (unsigned i = 0; i < STATS_COMMANDS; i++) {
        format_command(label, i);
        put(page, label, get(&page->export->stats.commands[i].operations));
    }
}

static void put_errors(const Page *page)
{
    char label[COMMAND_LABEL_MAX];

    for (unsigned i = 0; i <= STATS_COMMANDS; i++) {
        format_command(label, i);
        put(page, label, get(&page->export->stats.commands[i].errors));
    }
}

static void put_bytes(const Page *page)
{
    char label[COMMAND_LABEL_MAX];

    for (unsigned i = 0; i < STATS_COMMANDS; i++) {
        if (stats_command_has_bytes(i)) {
            format_command(label, i);
            put(page, label, get(&page->export->stats.commands[i].bytes));
        }
    }
}

static void put_latency(const Page *page)
{
    char label[COMMAND_LABEL_MAX];

    for (unsigned i = 0; i < STATS_COMMANDS; i++) {
        const CommandStats *c = &page->export->stats.commands[i];
        uint64_t bins[STATS_BOUNDS + 1];

        for (unsigned bin = 0; bin <= STATS_BOUNDS; bin++) {
            bins[bin] = get(&c->bins[bin]);
        }
        format_command(label, i);
        metrics_text_histogram(page->text, page->export->label, label, stats_bounds_ns, bins,
                               STATS_BOUNDS, get(&c->total_ns));
    }
}

static void put_in_flight(const Page *page)
{
    put(page, "", get(&page->export->stats.in_flight));
}

static void put_throttle_waits(const Page *page)
{
    put(page, "", page->export->throttle_waits);
}

static void put_throttle_wait(const Page *page)
{
    metrics_text_seconds(page->text, page->export->label, "", page->export->throttle_wait_ns);
}

static void put_export_clients(const Page *page)
{
    put(page, "", page->export->clients);
}

static void put_export_handshakes(const Page *page)
{
    put(page, "result=\"ok\"", page->export->ok);
    put(page, "result=\"refused\"", page->export->refused);
}

static void put_size(const Page *page)
{
    put(page, "", page->export->size);
}

static void put_read_only(const Page *page)
{
    put(page, "", page->export->read_only);
}

static void put_paused(const Page *page)
{
    unsigned gate = page->export->gate;

    put(page, "reason=\"request\"", (gate & GATE_PAUSED) != 0);
    put(page, "reason=\"no_medium\"", (gate & GATE_NO_MEDIUM) != 0);
    put(page, "reason=\"io_error\"", (gate & GATE_IO_ERROR) != 0);
}

/* ---- of the server ---- */

static void put_build(const Page *page)
{
    put(page, "version=\"" PACKAGE_VERSION "\"", 1);
}

static void put_clients(const Page *page)
{
    put(page, "", iothreads_connections(page->numbers->server));
}

static void put_handshakes(const Page *page)
{
    const HandshakeStats *stats = &page->numbers->server->handshakes;

    put(page, "result=\"ok\"", get(&stats->ok));
    put(page, "result=\"left\"", get(&stats->left));
    put(page, "result=\"failed\"", get(&stats->failed));
}

static void put_tls_handshakes(const Page *page)
{
    const HandshakeStats *stats = &page->numbers->server->tls_handshakes;

    put(page, "result=\"ok\"", get(&stats->ok));
    put(page, "result=\"failed\"", get(&stats->failed));
}

static void put_memory(const Page *page)
{
    put(page, "", (uint64_t)page->numbers->server->memory);
}

static void put_memory_limit(const Page *page)
{
    put(page, "", (uint64_t)page->numbers->server->max_memory);
}

/* ---- of the process, as all programs call them ---- */

static uint64_t timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static void put_cpu(const Page *page)
{
    struct rusage usage = { .ru_maxrss = 0 };

    getrusage(RUSAGE_SELF, &usage);
    metrics_text_seconds(page->text, "", "",
                         timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime));
}

static void put_max_fds(const Page *page)
{
    struct rlimit limit = { 0, 0 };

    getrlimit(RLIMIT_NOFILE, &limit);
    put(page, "", limit.rlim_cur);
}

static void put_open_fds(const Page *page)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    while (dir && readdir(dir)) {
        n++;
    }
    if (dir) {
        closedir(dir);
        put(page, "", n - 3);       /* without ".", ".." and the folder itself */
    }
}

/* The two first fields of /proc/self/statm, in pages. */
static void put_pages(const Page *page, unsigned field)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages[2];

    if (file) {
        if (fscanf(file, "%" SCNu64 " %" SCNu64, &pages[0], &pages[1]) == 2) {
            put(page, "", pages[field] * (uint64_t)sysconf(_SC_PAGESIZE));
        }
        fclose(file);
    }
}

static void put_virtual_memory(const Page *page)
{
    put_pages(page, 0);
}

static void put_resident_memory(const Page *page)
{
    put_pages(page, 1);
}

static void put_start_time(const Page *page)
{
    metrics_text_seconds(page->text, "", "", (uint64_t)page->numbers->server->started_ns);
}

/* ---- the table ---- */

typedef struct Metric {
    MetricHead head;
    bool of_exports;                /* put() is called for each */
    void (*put)(const Page *page);
} Metric;

#define EXPORT(name, type, unit, put, help) { { "nbd_export_" name, type, unit, help }, true, put }
#define SERVER(name, type, unit, put, help) \
    { { "nbd_export_server_" name, type, unit, help }, false, put }
#define PROCESS(name, type, unit, put, help) { { "process_" name, type, unit, help }, false, put }

static const Metric metrics[] = {
    EXPORT("operations", METRIC_COUNTER, "", put_operations, "Requests that succeeded."),
    EXPORT("errors", METRIC_COUNTER, "", put_errors,
           "Requests that were answered with an error, refused ones included."),
    EXPORT("bytes", METRIC_COUNTER, "bytes", put_bytes,
           "Bytes of the export that successful requests were about."),
    EXPORT("latency_seconds", METRIC_HISTOGRAM, "seconds", put_latency,
           "Time from a request's start, waits for limits included, until its reply was ready."),
    EXPORT("in_flight", METRIC_GAUGE, "", put_in_flight, "Requests that are being served."),
    EXPORT("throttle_waits", METRIC_COUNTER, "", put_throttle_waits,
           "Requests that waited because of a limit."),
    EXPORT("throttle_wait_seconds", METRIC_COUNTER, "seconds", put_throttle_wait,
           "How long they waited, all together."),
    EXPORT("clients", METRIC_GAUGE, "", put_export_clients, "Connections that use the export."),
    EXPORT("handshakes", METRIC_COUNTER, "", put_export_handshakes,
           "Connections that asked for the export, and entered it or were refused."),
    EXPORT("size_bytes", METRIC_GAUGE, "bytes", put_size, "Size of the export."),
    EXPORT("read_only", METRIC_GAUGE, "", put_read_only, "1 if nobody can write to the export."),
    EXPORT("paused", METRIC_GAUGE, "", put_paused,
           "1 if requests wait until somebody lets them go on."),

    SERVER("build", METRIC_INFO, "", put_build, "The version that runs."),
    SERVER("clients", METRIC_GAUGE, "", put_clients,
           "Connections of all exports, and those that have not chosen one yet."),
    SERVER("handshakes", METRIC_COUNTER, "", put_handshakes,
           "Handshakes: that entered an export, that ended in order without, that failed."),
    SERVER("tls_handshakes", METRIC_COUNTER, "", put_tls_handshakes, "Handshakes of TLS."),
    SERVER("memory_bytes", METRIC_GAUGE, "bytes", put_memory,
           "Memory for requests and replies that counts towards the limit."),
    SERVER("memory_limit_bytes", METRIC_GAUGE, "bytes", put_memory_limit,
           "What --max-memory allows."),

    PROCESS("cpu_seconds", METRIC_COUNTER, "seconds", put_cpu, "Processor time used."),
    PROCESS("max_fds", METRIC_GAUGE, "", put_max_fds, "File descriptors that may be open."),
    PROCESS("open_fds", METRIC_GAUGE, "", put_open_fds, "File descriptors that are open."),
    PROCESS("resident_memory_bytes", METRIC_GAUGE, "bytes", put_resident_memory,
            "Memory in use."),
    PROCESS("start_time_seconds", METRIC_GAUGE, "seconds", put_start_time,
            "When it was started, in seconds since 1970."),
    PROCESS("virtual_memory_bytes", METRIC_GAUGE, "bytes", put_virtual_memory,
            "Address space in use."),
};

static void put_metric(Page *page, const Metric *metric)
{
    metrics_text_head(page->text, &metric->head);
    if (!metric->of_exports) {
        page->export = NULL;
        metric->put(page);
        return;
    }
    for (size_t i = 0; i < page->numbers->n; i++) {
        page->export = &page->numbers->exports[i];
        metric->put(page);
    }
}

char *metrics_page(Server *server, bool openmetrics, size_t *len)
{
    Numbers numbers = { .server = server };
    Page page = { .text = metrics_text_new(openmetrics), .numbers = &numbers };
    char *data = NULL;

    if (page.text) {
        bool ok = take_exports(&numbers);

        for (size_t i = 0; ok && i < sizeof(metrics) / sizeof(metrics[0]); i++) {
            put_metric(&page, &metrics[i]);
        }
        data = metrics_text_end(page.text, len);
        if (!ok) {
            free(data);
            data = NULL;
        }
    }
    free_numbers(&numbers);
    return data;
}
